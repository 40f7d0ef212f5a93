"""formats.cpp.arrays: the numbers of a header are read back without compiling it, and damage is one line."""

import contextlib
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nalu_export import InputError
from nalu_export.formats.cpp.arrays import arrays
from nalu_export.formats.cpp.text import Array, Parameters
from tests.checkpoints.files import time_limit

SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


def _text(*lines: str) -> bytes:
    return "\n".join(lines).encode("ascii")


def _numbers(shape: tuple[int, ...], dtype: type[np.floating], seed: int) -> Array:
    """Any bits at all."""
    rng = np.random.default_rng(seed)
    bits = rng.bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    found = np.frombuffer(bits, dtype).reshape(shape).copy()
    found[np.isnan(found)] = np.inf
    return found


@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([np.float32, np.float64]), st.integers(0, 2**32))
def test_weights_come_back_bit_for_bit(outputs: int, inputs: int, dtype: type[np.floating], seed: int) -> None:
    parameters = Parameters(np.dtype(dtype))
    weight = _numbers((outputs, inputs), dtype, seed)
    parameters.weight("layers.0.W", weight)
    found = arrays(parameters.text().encode("ascii"))
    assert list(found) == ["layers.0.W"]
    assert found["layers.0.W"].dtype == dtype
    assert found["layers.0.W"].shape == weight.shape
    assert found["layers.0.W"].tobytes() == weight.tobytes()


@given(SHAPES, st.data(), st.sampled_from([np.float32, np.float64]))
def test_constants_come_back_as_they_were_before_they_were_repeated(
    held: tuple[int, ...], data: st.DataObject, dtype: type[np.floating]
) -> None:
    start = data.draw(st.integers(0, len(held)))
    own = tuple(data.draw(st.sampled_from((1, size))) for size in held[start:])
    own = (1,) * data.draw(st.integers(0 if own else 1, 2)) + own
    value = _numbers(own, dtype, 0)
    parameters = Parameters(np.dtype(dtype))
    parameters.constant("c", value, held)
    found = arrays(parameters.text().encode("ascii"))["c"]
    assert found.shape == own
    assert found.tobytes() == value.tobytes()


@pytest.mark.parametrize("name", ["", "\n", "\\", 'a"b', "*/", "é", "\ud800", "@tool@", "x" * 10_000])
def test_any_name_comes_back(name: str) -> None:
    parameters = Parameters(np.dtype(np.float32))
    parameters.weight(name, np.ones((1, 2), np.float32))
    assert list(arrays(parameters.text().encode("ascii"))) == [name]


def test_one_that_is_held_twice_is_read_once() -> None:
    parameters = Parameters(np.dtype(np.float32))
    weight = np.arange(6, dtype=np.float32).reshape(3, 2)
    parameters.weight("W", weight)
    parameters.constant("W", weight, (3, 2))
    parameters.constant("W", weight, (4, 3, 2))
    text = parameters.text()
    np.testing.assert_array_equal(arrays(text.encode("ascii"))["W"], weight)
    # The first number 2 of each of the three, and the last one of all.
    places = [match.start() for match in re.finditer(r"0x1p\+1f", text)]
    for place in (places[0], places[1], places[2], places[-1]):
        changed = f"{text[:place]}0x1.000002p+1f{text[place + len('0x1p+1f') :]}"
        _is_damaged(changed.encode("ascii"), "'W'")


def _is_damaged(data: bytes, name: str) -> None:
    with pytest.raises(InputError, match=f"^holds a damaged array {re.escape(name)}; export it again$"):
        arrays(data)


DECLARED = "inline constexpr real p[2] = {"
DAMAGED = {
    "one number too few": ('// weight 1x2 "W"', DECLARED, "  0x1p+0f};"),
    "one too many": ('// weight 1x2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f, 0x1p+0f};"),
    "none": ('// weight 1x2 "W"', DECLARED, "};"),
    "the end of the file": ('// weight 1x2 "W"', DECLARED, "  0x1p+0f,"),
    "nothing but the comment": ('// weight 1x2 "W"',),
    "not a number": ('// weight 1x2 "W"', DECLARED, "  0x1p+0f, abc};"),
    "a number that float64 cannot hold": ('// weight 1x2 "W"', DECLARED, "  0x1p+0, 0x1p+9999};"),
    "a matrix of one axis": ('// weight 2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "a matrix of three": ('// weight 1x1x2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "a matrix that is repeated": ('// weight 1x1 repeated to 1x2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "more than it is repeated to": ('// constant 3 repeated to 2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "another size than it is repeated to": (
        '// constant 2 repeated to 4 "W"',
        DECLARED,
        "  0x1p+0f, 0x1p+0f, 0x1p+0f, 0x1p+0f};",
    ),
    "an axis that is not there": ('// constant 2x1 repeated to 2 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "not the same wherever it is repeated": ('// constant 1 repeated to 2 "W"', DECLARED, "  0x1p+0f, 0x1p+1f};"),
    "a huge shape": ('// weight 999999999x999999999 "W"', DECLARED, "  0x1p+0f, 0x1p+0f};"),
    "eight huge axes": (f'// constant {"x".join(["999999999"] * 8)} "W"', DECLARED, "  0x1p+0f};"),
}


@pytest.mark.parametrize("lines", DAMAGED.values(), ids=DAMAGED)
def test_damage_is_one_line(lines: tuple[str, ...]) -> None:
    _is_damaged(_text(*lines), "'W'")


@pytest.mark.parametrize(
    ("comment", "name"),
    [
        (r'// weight 1x1 "a\q"', r"""'"a\\q"'"""),
        (r'// weight 1x1 "a\ud8"', r"""'"a\\ud8"'"""),
        ('// weight 1x1 "a" "b"', """'"a" "b"'"""),
        (f'// weight 1x1 "{"x" * 100}\\"', "'\"" + "x" * 55 + "..."),
    ],
)
def test_a_damaged_name_is_one_line(comment: str, name: str) -> None:
    _is_damaged(_text(comment, DECLARED, "  0x1p+0f};"), name)


@pytest.mark.parametrize(
    "comment",
    ['// weight 0x5 "W"', '// weight 5x0 "W"', '// weight 999999999x0 "W"', '// weight 1x1 W', '// weight -1x1 "W"',
     '// weights 1x1 "W"', '// weight 1x1x1x1x1x1x1x1x1 "W"', ' // weight 1x1 "W"', '// weight 9999999999x1 "W"'],
)  # fmt: skip
def test_what_is_no_comment_of_an_array_is_passed_over(comment: str) -> None:
    assert arrays(_text(comment, DECLARED, "  0x1p+0f};")) == {}


def test_a_float_that_is_too_large_is_infinite() -> None:
    np.testing.assert_array_equal(arrays(_text('// constant 1 "c"', DECLARED, "  0x1p+200f};"))["c"], [np.inf])


def test_bytes_that_are_no_text() -> None:
    assert arrays(bytes(range(256)) * 8) == {}


@pytest.mark.parametrize(
    "data",
    [
        b'// weight 1x1 "' + b"\\" * 2**20 + b'"',
        b'// weight 1x1 "W"\n{\n' + b"0x1p+0f, " * 2**17,
        b'// weight 999999999x999999999 "W"\n{\n0x1p+0f};\n' * 2,
        b'// weight 1x1 "' * 2**16,
        b"1" * 2**21,
    ],
    ids=["a name", "numbers", "shapes", "quotes", "one line"],
)
def test_time_and_memory_go_with_the_size_of_the_file(data: bytes) -> None:
    tracemalloc.start()
    with time_limit(30), contextlib.suppress(InputError):
        arrays(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * len(data) + 2**20
