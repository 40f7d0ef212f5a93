"""Builds ONNX nodes one by one and keeps track of names, constants, types and ranks.

Straight onto protobuf through ``onnx.helper``. ``onnx_ir`` would be the richer tool, but it imports sympy: 0.4 s, a
quarter of a cold export. Where torch.onnx has loaded it anyway, this builder still writes the arithmetic, because a
second one for the same primitives might write them otherwise.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


@dataclass(frozen=True)
class Value:
    """A tensor of the graph that is being built."""

    name: str
    dtype: np.dtype[np.generic]
    rank: int


class Builder:
    """Collects nodes and initializers of one arithmetic subgraph.

    Args:
        prefix: first part of every name, which keeps the subgraphs of one file apart.
        opset: the ONNX opset that nodes are written for.
        parameter: returns the name in the file of a parameter of the subgraph.
        taken: initializers that the file already has.
        reserved: names of the file's inputs and outputs.
    """

    def __init__(
        self,
        prefix: str,
        opset: int,
        parameter: Callable[[str], str] = str,
        taken: Mapping[str, onnx.TensorProto] | None = None,
        reserved: Collection[str] = (),
    ) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._prefix, self._parameter, self._taken = prefix, parameter, taken or {}
        self._reserved = reserved
        self._counts: dict[str, int] = {}

    def op(
        self,
        op_type: str,
        *inputs: Value,
        dtype: np.dtype[np.generic] | None = None,
        rank: int | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a node with one output.

        Args:
            op_type: the ONNX operator.
            inputs: its inputs.
            dtype: type of the output; by default that of the first input.
            rank: rank of the output; by default the largest rank of the inputs.
            attributes: attributes of the node.
        """
        self._counts[op_type] = self._counts.get(op_type, 0) + 1
        name = f"{self._prefix}{op_type}_{self._counts[op_type]}"
        while name in self._reserved:
            name += "_"
        names = [value.name for value in inputs]
        self.nodes.append(helper.make_node(op_type, names, [name], f"{name}_node", **attributes))
        return Value(
            name,
            inputs[0].dtype if dtype is None else dtype,
            max(value.rank for value in inputs) if rank is None else rank,
        )

    def node(
        self, op_type: str, inputs: Sequence[Value], outputs: Sequence[Value], name: str, **attributes: Any
    ) -> list[Value]:
        """Add a node with several outputs, whose types and ranks are given."""
        named = [replace(y, name=self.free(f"{name}.{place}")) for place, y in enumerate(outputs)]
        given, made = [x.name for x in inputs], [y.name for y in named]
        self.nodes.append(helper.make_node(op_type, given, made, self._prefix + name, **attributes))
        return named

    def inner(self) -> "Builder":
        """Return a builder for a graph inside this graph: both share constants, and no name is used twice."""
        found = Builder(self._prefix, self.opset, self._parameter, self._taken, self._reserved)
        found.initializers, found._counts = self.initializers, self._counts
        return found

    def free(self, name: str) -> str:
        """Return a name with the prefix of this subgraph."""
        return self._prefix + name

    def called(self, value: Value, name: str) -> Value:
        """Rename a value if it is the output of the last node; return other values unchanged."""
        last = self.nodes[-1] if self.nodes else None
        if last is None or last.output[0] != value.name:
            return value
        last.output[0] = self._prefix + name
        return replace(value, name=last.output[0])

    def weight(self, target: str, array: NDArray[np.generic]) -> Value:
        """Add a parameter under the name that ``parameter`` gives it."""
        return self.initializer(self._parameter(target), array)

    def initializer(self, name: str, array: NDArray[np.generic]) -> Value:
        """Add a named constant, once per name.

        A number is appended to the name where the file already has another constant of this name.
        """
        tensor = numpy_helper.from_array(array, name)
        number = 1
        while (held := self._taken.get(tensor.name, tensor)) is not tensor and held.raw_data != tensor.raw_data:
            number += 1
            tensor.name = f"{name}_{number}"
        self.initializers.setdefault(tensor.name, tensor)
        return Value(tensor.name, array.dtype, array.ndim)

    def literal(self, value: float | Sequence[int], dtype: np.dtype[np.generic]) -> Value:
        """Add a number (or a list of axes) of the formula as a constant named after its value: ``1e-10:float32``."""
        array = np.asarray(value, dtype=dtype)
        return self.initializer(f"{self._prefix}{np.asarray(value).tolist()}:{dtype.name}", array)
