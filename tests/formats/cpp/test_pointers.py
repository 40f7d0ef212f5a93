"""formats.cpp.pointers: names that mean nothing else in C++ and C, and lines that can be read back."""

import re

import pytest

from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.names import RESERVED, TAKEN
from nalu_export.formats.cpp.pointers import Pointer, listed, pointers, read_listed


def _spec(name: str, dtype: str = "float32", *shape: int) -> TensorSpec:
    return TensorSpec(name, dtype, ("batch", *shape))


def _pointers(inputs: list[str], outputs: list[str]) -> tuple[Pointer, ...]:
    return pointers([(_spec(name), 1) for name in inputs], [(_spec(name), 1) for name in outputs], ("Model", "nalu"))


def _names(inputs: list[str], outputs: list[str]) -> list[str]:
    return [pointer.name for pointer in _pointers(inputs, outputs)]


def test_one_of_each_are_x_and_y() -> None:
    assert _names(["pixels"], ["class"]) == ["x", "y"]


@pytest.mark.parametrize(
    ("inputs", "outputs", "names"),
    [
        (["a", "b"], ["p", "q"], ["a", "b", "p", "q"]),
        (["a"], ["a", "a"], ["a", "y_a", "y_a_2"]),
        (["class", "int"], ["new"], ["x_class", "x_int", "y_new"]),
        (["layer.0/x y", "größe"], ["__"], ["layer_0_x_y", "gr_e", "y"]),
        (["2d", "", "_"], ["é"], ["x_2d", "x", "x_2", "y"]),
        (["NAN", "W", "I", "errno", "n"], ["EOF"], ["x_NAN", "W", "x_I", "x_errno", "x_n", "y_EOF"]),
        (["Model", "nalu", "std"], ["predict"], ["x_Model", "x_nalu", "x_std", "y_predict"]),
        # The size of one is no other's name.
        (["a", "a_size"], ["b"], ["a", "x_a_size", "b"]),
        (["a_size", "a"], ["b"], ["a_size", "x_a", "b"]),
        (["input_count"], ["a" * 99, "b"], ["x_input_count", "a" * 60, "b"]),
    ],
)
def test_names(inputs: list[str], outputs: list[str], names: list[str]) -> None:
    assert _names(inputs, outputs) == names


def test_no_two_names_are_the_same() -> None:
    given = sorted([*RESERVED, *TAKEN, "a", "a_2", "x_a", "x_a_2", "y_a", "a_size", "A", "x", "y"])
    names = _names(given * 2, given * 2)
    all_names = [*names, *(f"{name}_size" for name in names)]
    assert len(set(all_names)) == len(all_names)
    assert not set(all_names) & (RESERVED | TAKEN | {"n"})
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name) for name in all_names)


def test_lines_can_be_read_back() -> None:
    inputs = (_spec("a", "float32", 3), _spec('cl"ass\n', "bool", 2, 3), _spec("s", "float64"), _spec("k", "int64", 1))
    outputs = (_spec("a", "int32", 4, 1), _spec("m", "bool"))
    found = pointers([(spec, 1) for spec in inputs], [(spec, 1) for spec in outputs], ())
    lines = listed(found)
    assert lines == [
        "//   a: const float*, of a sample (3)",
        r'//   cl_ass: const bool*, of a sample (2, 3), "cl\"ass\n"',
        "//   s: const double*, of a sample ()",
        "//   k: const std::int64_t*, of a sample (1)",
        '//   y_a: std::int32_t*, of a sample (4, 1), "a"',
        "//   m: bool*, of a sample ()",
    ]
    assert read_listed(["// anything", *lines, "//", '//   m = "x"']) == (inputs, outputs)
    assert read_listed([]) == ((), ())


@pytest.mark.parametrize(("old", "new"), [("float", "half"), ("(3)", "(3, , 4 5)"), ('"', '"\\u"')])
def test_damaged_lines(old: str, new: str) -> None:
    (line,) = listed(pointers([(_spec("a b", "float32", 3), 3)], [], ()))
    assert old in line
    with pytest.raises(ValueError, match=r"."):
        read_listed([line.replace(old, new, 1)])
