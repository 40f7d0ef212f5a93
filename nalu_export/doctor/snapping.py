"""The effect of rounding weights to the nearest of −1, 0 and 1."""

from typing import NamedTuple

import torch
from torch import Tensor, fx

from nalu_export.doctor.running import Runs, given_by, rerun
from nalu_export.doctor.statistics import nearest
from nalu_export.doctor.subject import Cell, Head


class Change(NamedTuple):
    """By how much an output changes if weights are rounded to −1, 0 and 1.

    Attributes:
        near: the change on training-like inputs.
        far: the change on 1000 times those inputs.
    """

    near: float
    far: float


def layer_change(head: Head, cell: Cell, runs: Runs) -> Change:
    """Return by how much the layer's output changes on the inputs that reach it, near and far."""
    call, instead = cell.layer.call, snapped([cell])
    return Change(
        *(difference(given_by(head, run, call), rerun(head, run, instead, call)) for run in (runs.near, runs.far))
    )


def head_change(head: Head, runs: Runs) -> Change:
    """Return by how much the output of the subgraph changes if the weights of all its layers are rounded."""
    instead = snapped(head.cells)
    return Change(*(difference(run.result, rerun(head, run, instead)) for run in (runs.near, runs.far)))


def snapped(cells: tuple[Cell, ...] | list[Cell]) -> dict[fx.Node, Tensor]:
    """Return the weights rounded to −1, 0 and 1, by node; a weight computed from another one follows it."""
    nodes = {weight.node: cell for cell in cells for weight in cell.layer.weights}
    return {node: nearest(cell.form.value(node)) for node, cell in nodes.items() if not _before(node) & nodes.keys()}


def _before(node: fx.Node) -> set[fx.Node]:
    """Return all nodes that a constant is computed from."""
    found: set[fx.Node] = set()
    waiting = list(node.all_input_nodes)
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += current.all_input_nodes
    return found


def difference(before: Tensor, after: Tensor) -> float:
    """Return |a − b| / max(|a|, |b|) as the median over samples, for the output with the largest median.

    It is 0 for equal outputs, near 1 for another magnitude, 2 for the other sign. Where exactly one of the two is NaN
    or infinite it is 1; where both are the same it is 0.
    """
    distance = (before - after).abs() / torch.maximum(before.abs(), after.abs())
    same = (before == after) | (before.isnan() & after.isnan())
    found = distance.nan_to_num(1.0, 1.0).where(~same, torch.zeros(())).median(dim=0).values
    return float(found.max())
