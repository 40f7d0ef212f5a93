"""Types of what a header takes and gives: which there are, and that nothing is computed with integers."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, fx

from nalu_export.errors import UnsupportedLayerError
from nalu_export.graph import primitive_of
from nalu_export.text import plain


class CppType(NamedTuple):
    """A type in C++, and in C."""

    cpp: str
    c: str


# By the names that numpy and torch have for them.
TYPES: Mapping[str, CppType] = {
    "float32": CppType("float", "float"),
    "float64": CppType("double", "double"),
    "bool": CppType("bool", "bool"),
    "int64": CppType("std::int64_t", "int64_t"),
    "int32": CppType("std::int32_t", "int32_t"),
}
INTEGERS = (torch.int64, torch.int32)


def type_of(dtype: str, name: str) -> torch.dtype:
    """The type of the input or output of that name.

    Raises:
        UnsupportedLayerError: a header has none such.
    """
    if dtype not in TYPES:
        raise UnsupportedLayerError(f"{plain(name)} is {plain(dtype)}; a header takes and gives {_listed()}")
    found: torch.dtype = getattr(torch, dtype)
    return found


def _listed() -> str:
    *others, last = TYPES
    return f"{', '.join(others)} and {last}"


class Integers:
    """Inputs of integers: they may be moved, and made floating point numbers, which is what a header reads them as."""

    def __init__(self) -> None:
        self._names: dict[fx.Node, str] = {}

    def given(self, node: fx.Node, value: Tensor, name: str) -> None:
        """An input."""
        if value.dtype in INTEGERS:
            self._names[node] = name

    def follow(self, node: fx.Node, value: Tensor) -> None:
        """What a call makes of its arguments.

        Raises:
            UnsupportedLayerError: it computes with an integer of an input, or rounds to integers.
        """
        primitive = primitive_of(node)
        name, kind = ("", "") if primitive is None else (primitive.name, primitive.kind)
        names = [self._names[argument] for argument in node.all_input_nodes if argument in self._names]
        if kind == "cast" and not value.is_floating_point():
            raise UnsupportedLayerError(f"a {name} gives {_called(value)}; a header computes with floating point numbers")
        if names and kind == "shape" and value.dtype in INTEGERS:
            self._names[node] = names[0]
        elif names and kind != "cast":
            raise UnsupportedLayerError(
                f"{name} reads input {plain(names[0])} as integers; a header computes with floating point numbers, so "
                f"make them some first: {plain(names[0])}.float()"
            )

    def refuse_result(self, node: fx.Node, value: Tensor) -> None:
        """What the model gives.

        Raises:
            UnsupportedLayerError: they are integers.
        """
        if not value.is_floating_point() and value.dtype != torch.bool:
            what = f"input {plain(self._names[node])}, which is" if node in self._names else "what is"
            raise UnsupportedLayerError(
                f"the model gives {what} {_called(value)}; a header gives floating point numbers, and true or false"
            )


def _called(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
