"""Builds ONNX nodes one by one: names, constants, types and ranks in one place.

Straight onto protobuf through ``onnx.helper``. ``onnx_ir`` would be the richer tool, but it imports sympy: 0.4 s, a
quarter of a cold export.
"""

from collections.abc import Sequence
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
    """Collects nodes and initializers of one arithmetic part.

    Args:
        prefix: put before every name, so that several parts fit into one graph.
        opset: the ONNX opset that nodes are written for.
    """

    def __init__(self, prefix: str, opset: int) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self._prefix = prefix
        self._counts: dict[str, int] = {}

    def op(
        self,
        op_type: str,
        *inputs: Value,
        dtype: np.dtype[np.generic] | None = None,
        rank: int | None = None,
        **attributes: Any,
    ) -> Value:
        """One node; its output has the type of the first input and the largest rank unless told otherwise."""
        self._counts[op_type] = self._counts.get(op_type, 0) + 1
        name = f"{self._prefix}{op_type}_{self._counts[op_type]}"
        names = [value.name for value in inputs]
        self.nodes.append(helper.make_node(op_type, names, [name], f"{name}_node", **attributes))
        return Value(
            name,
            inputs[0].dtype if dtype is None else dtype,
            max(value.rank for value in inputs) if rank is None else rank,
        )

    def called(self, value: Value, name: str) -> Value:
        """The value under another name, where the last node gives it; as it is where an earlier one does."""
        last = self.nodes[-1] if self.nodes else None
        if last is None or last.output[0] != value.name:
            return value
        last.output[0] = self._prefix + name
        return replace(value, name=last.output[0])

    def initializer(self, name: str, array: NDArray[np.generic]) -> Value:
        """A named constant of the file; the same name is one value."""
        full = self._prefix + name
        if full not in self.initializers:
            self.initializers[full] = numpy_helper.from_array(array, full)
        return Value(full, array.dtype, array.ndim)

    def literal(self, value: float | Sequence[int], dtype: np.dtype[np.generic]) -> Value:
        """A number (or a list of axes) written into the formula, named after its value: ``1e-10:float32``."""
        array = np.asarray(value, dtype=dtype)
        return self.initializer(f"{np.asarray(value).tolist()}:{dtype.name}", array)
