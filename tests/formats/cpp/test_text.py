"""formats.cpp.text: names, numbers and comments of a header."""

import itertools
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from nalu_export.formats.cpp.text import (
    TILES,
    Names,
    Parameters,
    in_comment,
    in_string,
    literal,
    number,
    tiled,
    untiled,
)

FLOAT32 = [0.0, -0.0, 1.0, -1.5, 0.1, 1e-10, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, math.inf, -math.inf]
FLOAT64 = [*FLOAT32[:7], 5e-324, 2.225073858507201e-308, 2.2250738585072014e-308, 1.7976931348623157e308, -math.inf]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0), "0x0p+0f"),
        (np.float32(-0.0), "-0x0p+0f"),
        (np.float32(1), "0x1p+0f"),
        (np.float32(10), "0x1.4p+3f"),
        (np.float32(0.1), "0x1.99999ap-4f"),
        (np.float32(1e-45), "0x1p-149f"),
        (np.float32(3.4028235e38), "0x1.fffffep+127f"),
        (np.float64(0.1), "0x1.999999999999ap-4"),
        (np.float64(5e-324), "0x0.0000000000001p-1022"),
        (np.float32(np.inf), "std::numeric_limits<float>::infinity()"),
        (np.float32(-np.inf), "-std::numeric_limits<float>::infinity()"),
        (np.float64(-np.inf), "-std::numeric_limits<double>::infinity()"),
        (np.float32(np.nan), "std::numeric_limits<float>::quiet_NaN()"),
        (np.float64(-np.nan), "std::numeric_limits<double>::quiet_NaN()"),
    ],
)
def test_literals(value: np.floating, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_numbers_come_back(dtype: type[np.floating]) -> None:
    for value in FLOAT32 if dtype == np.float32 else FLOAT64:
        _comes_back(dtype(value))
    found, single = number(literal(dtype(np.nan)))
    assert math.isnan(found)
    assert single == (dtype == np.float32)


@given(st.integers(0, 2**32 - 1))
def test_every_float32_comes_back(bits: int) -> None:
    _comes_back(np.uint32(bits).view(np.float32))


@given(st.integers(0, 2**64 - 1))
def test_every_float64_comes_back(bits: int) -> None:
    _comes_back(np.uint64(bits).view(np.float64))


def _comes_back(value: np.floating) -> None:
    found, single = number(literal(value))
    assert single == (value.dtype == np.float32)
    if math.isnan(value):
        assert math.isnan(found)
    else:
        assert value.dtype.type(found).tobytes() == value.tobytes()


@pytest.mark.parametrize(
    "text", ["", "f", "x", "0x", "1,5", "std::numeric_limits<float>::max()", "0x1p+0 f", "--0x1p+0"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        number(text)


def test_what_is_no_float64() -> None:
    with pytest.raises(OverflowError):
        number("0x1p+99999f")


@given(st.integers(1, 70), st.integers(1, 20))
def test_tiles_hold_every_weight_once(outputs: int, inputs: int) -> None:
    weight = np.arange(outputs * inputs, dtype=np.float32).reshape(outputs, inputs)
    numbers = tiled(weight)
    assert sorted(numbers) == list(range(outputs * inputs))
    np.testing.assert_array_equal(untiled(numbers, outputs, inputs), weight)
    # As each_tile of the kernels goes: as many of 16 as there are, then one at most of each other width.
    start = 0
    for width in itertools.chain([16] * (outputs // 16), (size for size in TILES[1:] if outputs & size)):
        tile = numbers[start * inputs : (start + width) * inputs].reshape(inputs, width)
        np.testing.assert_array_equal(tile, weight[start : start + width].T)
        start += width
    assert start == outputs


@given(arrays_of.arrays(np.uint32, st.tuples(st.integers(1, 40), st.integers(1, 9))))
def test_tiles_keep_every_bit(bits: np.ndarray[tuple[int, int], np.dtype[np.uint32]]) -> None:
    weight = bits.view(np.float32)
    assert untiled(tiled(weight), *weight.shape).tobytes() == weight.tobytes()


def test_names_are_plain_and_different() -> None:
    names = Names()
    assert names.of(1, "p", "layers.0.W") == "p_layers_0_W"
    assert names.of(2, "p", "layers.0_W") == "p_layers_0_W_2"
    assert names.of(3, "p", "layers-0 W!") == "p_layers_0_W_3"
    assert names.of(1, "p", "another text for the same thing") == "p_layers_0_W"
    assert names.of(4, "v", "größe__of") == "v_gr_e_of"
    assert names.of(5, "v", "") == "v"
    assert names.of(6, "v", "*/ \n") == "v_2"
    assert names.of(7, "p", "class") == "p_class"


@given(st.lists(st.text(), unique=True, max_size=20))
def test_any_names(texts: list[str]) -> None:
    names = Names()
    found = [names.of(text, "p", text) for text in texts]
    assert len(set(found)) == len(texts)
    # No two underscores in a row, and none before the first letter: those are the compiler's.
    assert all(re.fullmatch(r"p(_[A-Za-z0-9]+)*", name) for name in found)


HOSTILE = ["\n", "\\", "a\\", '"', "*/", "/*", "??/", "//", "é", "\ud800", "\x00", "\x7f", "\u2028", "@hash@", "@tool@"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_comment_is_one_line_of_ascii(text: str) -> None:
    shown = in_comment(text)
    assert shown.isascii()
    assert len(shown.splitlines()) == 1
    assert shown.endswith('"')
    assert "@" not in shown
    assert json.loads(shown) == text


@given(st.text())
def test_a_comment_can_be_read_back(text: str) -> None:
    assert json.loads(in_comment(text)) == text


def test_a_string_has_nothing_that_a_compiler_would_read() -> None:
    assert in_string("Tool 1") == '"Tool 1"'
    assert in_string('a"b\\c\n??/@é') == r'"a\042b\134c\012\077\077\057\100\303\251"'


def test_an_array_is_held_once_for_each_way_to_read_it() -> None:
    parameters = Parameters(np.dtype(np.float32))
    weight = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert parameters.weight("W", weight) == "p_W"
    assert parameters.weight("W", weight) == "p_W"
    assert parameters.constant("W", weight, (3, 2)) == "p_W_2"
    assert parameters.constant("b", np.array([[0.5, -1.0]]), (2,)) == "p_b"
    assert parameters.constant("c", np.array([[0.5], [-1.0]]), (2, 3)) == "p_c"
    assert parameters.text().splitlines() == [
        '// weight 3x2 "W"',
        "alignas(64) inline constexpr real p_W[6] = {",
        "  0x1p+0f, 0x1.8p+1f, 0x1p+1f, 0x1p+2f, 0x1.4p+2f, 0x1.8p+2f};",
        '// constant 3x2 "W"',
        "alignas(64) inline constexpr real p_W_2[6] = {",
        "  0x1p+0f, 0x1p+1f, 0x1.8p+1f, 0x1p+2f, 0x1.4p+2f, 0x1.8p+2f};",
        '// constant 1x2 "b"',
        "alignas(64) inline constexpr real p_b[2] = {",
        "  0x1p-1f, -0x1p+0f};",
        '// constant 2x1 repeated to 2x3 "c"',
        "alignas(64) inline constexpr real p_c[6] = {",
        "  0x1p-1f, 0x1p-1f, 0x1p-1f, -0x1p+0f, -0x1p+0f, -0x1p+0f};",
    ]
    assert parameters.literal(0.1) == "0x1.99999ap-4f"
    assert Parameters(np.dtype(np.float64)).literal(0.1) == "0x1.999999999999ap-4"


def test_long_arrays_go_over_several_lines() -> None:
    parameters = Parameters(np.dtype(np.float64))
    parameters.constant("b", np.arange(17.0), (17,))
    lines = parameters.text().splitlines()
    assert [line.count("0x") for line in lines] == [0, 0, 8, 8, 1]
    assert [line[-1] for line in lines[2:]] == [",", ",", ";"]
