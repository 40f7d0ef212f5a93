"""What putting weights to the nearest of −1, 0 and 1 changes."""

from typing import NamedTuple

import torch
from torch import Tensor, fx

from nalu_export.doctor.running import Runs, given_by, rerun
from nalu_export.doctor.statistics import nearest
from nalu_export.doctor.subject import Cell, Head


class Change(NamedTuple):
    """What putting weights to −1, 0 and 1 changes.

    Attributes:
        near: on inputs like those of training.
        far: on the thousandfold.
    """

    near: float
    far: float


def layer_change(head: Head, cell: Cell, runs: Runs) -> Change:
    """How far the layer's output moves on the inputs that reach it, near and far."""
    call, instead = cell.layer.call, snapped([cell])
    return Change(
        *(difference(given_by(head, run, call), rerun(head, run, instead, call)) for run in (runs.near, runs.far))
    )


def head_change(head: Head, runs: Runs) -> Change:
    """How far the output of the subgraph moves when all of its layers are so."""
    instead = snapped(head.cells)
    return Change(*(difference(run.result, rerun(head, run, instead)) for run in (runs.near, runs.far)))


def snapped(cells: tuple[Cell, ...] | list[Cell]) -> dict[fx.Node, Tensor]:
    """Weights at the nearest of −1, 0 and 1, by node; what is computed from another weight follows that one."""
    nodes = {weight.node: cell for cell in cells for weight in cell.layer.weights}
    return {node: nearest(cell.form.value(node)) for node, cell in nodes.items() if not _before(node) & nodes.keys()}


def _before(node: fx.Node) -> set[fx.Node]:
    """All that a constant is computed from."""
    found: set[fx.Node] = set()
    waiting = list(node.all_input_nodes)
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting += current.all_input_nodes
    return found


def difference(before: Tensor, after: Tensor) -> float:
    """|a − b| / max(|a|, |b|), its median over samples, of the worst output.

    It is 0 for the same, near 1 for another size, 2 for the other sign.
    Where exactly one of both is NaN or infinite it is 1, where both are the same, 0.
    """
    distance = (before - after).abs() / torch.maximum(before.abs(), after.abs())
    same = (before == after) | (before.isnan() & after.isnan())
    found = distance.nan_to_num(1.0, 1.0).where(~same, torch.zeros(())).median(dim=0).values
    return float(found.max())
