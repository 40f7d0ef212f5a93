"""What putting weights to the nearest of −1, 0 and 1 changes."""

import copy
from typing import NamedTuple

import torch
from torch import Tensor

from nalu_export.doctor.running import BEYOND, Runs
from nalu_export.doctor.subject import Cell, Head
from nalu_export.nn import ArithmeticLayer
from nalu_export.statistics import nearest

# tanh and σ of it are 1 in float64.
_SATURATED = 40.0


class Change(NamedTuple):
    """What putting weights to −1, 0 and 1 changes.

    Attributes:
        near: on inputs like those of training.
        far: on the thousandfold.
    """

    near: float
    far: float


def layer_change(cell: Cell, number: int, runs: Runs) -> Change | None:
    """How far the layer's output moves on the inputs that reach it, near and far; ``None`` where it cannot be put."""
    snapped = copy.deepcopy(cell.layer)
    if not snap(snapped):
        return None
    near, far = runs.near.calls[number], runs.far.calls[number]
    if near is None or far is None:
        return None
    with torch.no_grad():
        return Change(difference(near.y, snapped(near.x)), difference(far.y, snapped(far.x)))


def head_change(head: Head, runs: Runs) -> Change | None:
    """How far the output of the head moves when all of its layers are so; ``None`` where one cannot be put."""
    snapped = copy.deepcopy(head.module)
    if not all(snap(layer) for layer in snapped.modules() if isinstance(layer, ArithmeticLayer)):
        return None
    with torch.no_grad():
        return Change(
            difference(runs.near.result, snapped(runs.x)), difference(runs.far.result, snapped(BEYOND * runs.x))
        )


def snap(layer: ArithmeticLayer) -> bool:
    """Put a layer's weights to the nearest of −1, 0 and 1, in place; whether they are there then.

    A stored weight is set itself; of a computed one the raw parameters, by their usual names. A layer of the user's own
    may have others.
    """
    with torch.no_grad():
        wanted = {name: nearest(weight) for name, weight in layer.effective_weights().items()}
        for name, weight in wanted.items():
            suffix = name.removeprefix("W")
            for parameter, value in (
                (name, weight),
                (f"W_hat{suffix}", _SATURATED * weight),
                (f"M_hat{suffix}", torch.full_like(weight, _SATURATED)),
            ):
                held = getattr(layer, parameter, None)
                if isinstance(held, torch.nn.Parameter):
                    held.copy_(value)
        return all(torch.equal(weight, wanted[name]) for name, weight in layer.effective_weights().items())


def difference(before: Tensor, after: Tensor) -> float:
    """|a − b| / max(|a|, |b|), its median over samples, of the worst output.

    It is 0 for the same, near 1 for another size, 2 for the other sign.
    Where exactly one of both is NaN or infinite it is 1, where both are the same, 0.
    """
    distance = (before - after).abs() / torch.maximum(before.abs(), after.abs())
    same = (before == after) | (before.isnan() & after.isnan())
    found = distance.nan_to_num(1.0, 1.0).where(~same, torch.zeros(())).median(dim=0).values
    return float(found.max())
