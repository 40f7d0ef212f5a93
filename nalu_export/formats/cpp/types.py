"""Types of the inputs and outputs of a header, and the check that a graph does not compute with integers."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, fx

from nalu_export.errors import UnsupportedLayerError, option
from nalu_export.graph import primitive_of
from nalu_export.io.text import plain


class CppType(NamedTuple):
    """A type's names in C++ and in C."""

    cpp: str
    c: str


# Keys are the names of the types in numpy and torch.
TYPES: Mapping[str, CppType] = {
    "float32": CppType("float", "float"),
    "float64": CppType("double", "double"),
    "bool": CppType("bool", "bool"),
    "int64": CppType("std::int64_t", "int64_t"),
    "int32": CppType("std::int32_t", "int32_t"),
}
INTEGERS = (torch.int64, torch.int32)


def type_of(dtype: str, name: str) -> torch.dtype:
    """Return the torch type of an input or output.

    Args:
        dtype: its name in numpy and torch.
        name: name of the input or output, for the message.

    Raises:
        UnsupportedLayerError: a header cannot have this type.
    """
    if dtype not in TYPES:
        raise UnsupportedLayerError(f"{plain(name)} is {plain(dtype)}; a C++ header supports {_listed()}")
    found: torch.dtype = getattr(torch, dtype)
    return found


def _listed() -> str:
    *others, last = TYPES
    return f"{', '.join(others)} and {last}"


class Integers:
    """Follows the integers of inputs through a graph.

    A graph may move them and convert them to floating point numbers; a header reads them as such from the start.

    Attributes:
        names: for each node whose numbers are integers of an input, the name of that input.
    """

    def __init__(self) -> None:
        self.names: dict[fx.Node, str] = {}

    def given(self, node: fx.Node, value: Tensor, name: str) -> None:
        """Add an input."""
        if value.dtype in INTEGERS:
            self.names[node] = name

    def follow(self, node: fx.Node, value: Tensor) -> None:
        """Add the result of a call.

        Raises:
            UnsupportedLayerError: the call computes with integers of an input, or converts to a type that is not
                floating point.
        """
        primitive = primitive_of(node)
        name, kind = ("", "") if primitive is None else (primitive.name, primitive.kind)
        names = [self.names[argument] for argument in node.all_input_nodes if argument in self.names]
        if kind == "cast" and not value.is_floating_point():
            raise UnsupportedLayerError(
                f"a {name} gives {_called(value)}; a C++ header computes with floating point numbers"
            )
        if names and kind == "shape" and value.dtype in INTEGERS:
            self.names[node] = names[0]
        elif names and kind != "cast":
            raise UnsupportedLayerError(
                f"{name} reads input {plain(names[0])} as integers; a C++ header computes with floating point numbers; "
                f"convert the integers first: {plain(names[0])}.float()"
            )


def refuse_result(value: Tensor, name: str | None, *, passed: bool) -> None:
    """Refuse an output of integers that is not an unchanged input.

    Args:
        value: a few samples of the output.
        name: name of the input whose integers these are.
        passed: whether the output is an unchanged input.

    Raises:
        UnsupportedLayerError: the output is integers and not an unchanged input.
    """
    if value.is_floating_point() or value.dtype == torch.bool or passed:
        return
    what = "an output" if name is None else f"the numbers of input {plain(name)} in another order,"
    raise UnsupportedLayerError(
        f"the model returns {what} of type {_called(value)}; a C++ header returns floating point numbers and bool"
    )


def refuse_rounding(dtype: str, name: str, compute: str, *, passed: bool) -> None:
    """Refuse a float64 output of a header that computes in float32, unless the output is an unchanged input.

    Raises:
        UnsupportedLayerError: the output is refused.
    """
    if dtype == "float64" and compute == "float32" and not passed:
        raise UnsupportedLayerError(
            f"output {plain(name)} is float64, but a C++ header that computes in float32 does not have all digits of "
            f"it; export it with {option('compute', 'float64')}"
        )


def _called(value: Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")
