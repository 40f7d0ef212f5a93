"""Writes a stage that multiplies two matrices, of which at least one depends on the input."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import fx

from nalu_export.formats.cpp.loops import nested
from nalu_export.formats.cpp.moves import Index, Shape, row_major
from nalu_export.formats.cpp.plan import Plan, Stage
from nalu_export.formats.cpp.text import Parameters
from nalu_export.formats.cpp.tile import Naming
from nalu_export.graph.evaluation import constant


@dataclass(frozen=True)
class _Factor:
    """One of the two factors.

    Attributes:
        start: expression for the place of its first number.
        shape: leading axes, then rows and columns.
        same: whether it is the same for every sample.
    """

    start: str
    shape: Shape
    same: bool

    def places(self, before: Shape) -> Index:
        """Return the place where each of its matrices begins, repeated to the leading axes of the product."""
        own = row_major(self.shape[:-2]) * math.prod(self.shape[-2:])
        return np.broadcast_to(own, before)

    def at(self, place: str) -> str:
        """Write the pointer to the matrix at a place."""
        return f"{self.start} + {place}" if self.same else f"{self.start} + ({place}) * S"


def matmul(found: Plan, stage: Stage, parameters: Parameters, naming: Naming) -> list[str]:
    """Write one product of contiguous matrices, in loops over the leading axes."""
    (node,), (value,) = stage.nodes, stage.outputs
    left, right = (_factor(found, node, operand, parameters, naming) for operand in node.args[:2])
    # A vector is a row on the left and a column on the right. So is a sample that is a row of one matrix.
    a = _Factor(left.start, left.shape if len(left.shape) > 1 else (1, *left.shape), left.same)
    b = _Factor(right.start, right.shape if len(right.shape) > 1 else (*right.shape, 1), right.same)
    before = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, inner, columns = a.shape[-2], *b.shape[-2:]
    sizes = f"{rows}, {inner}, {columns}, {str(a.same).lower()}, {str(b.same).lower()}"

    def statement(places: list[str], count: int) -> str:
        del count
        target = f"{naming.pointer(value)} + ({places[2]}) * S"
        return f"matrix_product<real, S, {sizes}>({a.at(places[0])}, {b.at(places[1])}, {target});"

    return nested(statement, a.places(before), b.places(before), row_major(before) * rows * columns)


def _factor(found: Plan, node: fx.Node, operand: Any, parameters: Parameters, naming: Naming) -> _Factor:
    if operand in found.shapes:
        return _Factor(naming.start(found.reads[node, operand]), found.shapes[operand], same=False)
    value = constant(found.form, str(operand.target)).detach().numpy()
    rank = 1 + max(len(found.shapes[argument]) for argument in node.all_input_nodes if argument in found.shapes)
    # Drop the axis of size 1 that stands where the other factor has its samples.
    shape = value.shape[1:] if value.ndim == rank > 2 else value.shape
    return _Factor(parameters.constant(str(operand.target), value, shape), shape, same=True)
