"""Builds ONNX nodes one by one: names, constants, types and ranks in one place."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


class Builder:
    """Collects nodes and initializers of one arithmetic part.

    Args:
        prefix: put before every name, so that several parts fit into one graph.
        opset: the ONNX opset that nodes are written for.
    """

    def __init__(self, prefix: str, opset: int) -> None:
        self.opset = opset
        self.nodes: list[ir.Node] = []
        self.initializers: dict[str, ir.Value] = {}
        self._prefix = prefix
        self._names: dict[str, int] = {}

    def op(
        self,
        op_type: str,
        *inputs: ir.Value,
        dtype: ir.DataType | None = None,
        rank: int | None = None,
        **attributes: int | float | Sequence[int],
    ) -> ir.Value:
        """One node; its output has the type and the largest rank of the inputs unless told otherwise."""
        name = self._unique(op_type)
        if rank is None:
            rank = max(rank_of(value) for value in inputs)
        output = ir.Value(
            name=name,
            type=ir.TensorType(dtype if dtype is not None else inputs[0].dtype or ir.DataType.FLOAT),
            shape=ir.Shape([None] * rank),
        )
        self.nodes.append(ir.node(op_type, inputs, attributes=attributes, outputs=[output], name=f"{name}/node"))
        return output

    def initializer(self, name: str, array: NDArray[np.generic]) -> ir.Value:
        """A named constant of the file; the same name is one value."""
        full = self._prefix + name
        if full not in self.initializers:
            self.initializers[full] = ir.Value(
                name=full,
                type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
                shape=ir.Shape(array.shape),
                const_value=ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=full),
            )
        return self.initializers[full]

    def literal(self, value: float | Sequence[int], dtype: ir.DataType) -> ir.Value:
        """A number (or a list of axes) written into the formula, named after its value: ``1e-10``."""
        array = np.asarray(value, dtype=dtype.numpy())
        return self.initializer(f"{np.asarray(value).tolist()}:{dtype.name.lower()}", array)

    def _unique(self, op_type: str) -> str:
        self._names[op_type] = self._names.get(op_type, 0) + 1
        return f"{self._prefix}{op_type}_{self._names[op_type]}"


def rank_of(value: ir.Value) -> int:
    """Number of axes of a value that the builder made."""
    assert value.shape is not None
    return len(value.shape)


