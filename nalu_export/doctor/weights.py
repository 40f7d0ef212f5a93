"""Weights far from −1, 0 and 1, and what is changed by putting them there."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from nalu_export.doctor.findings import Finding
from nalu_export.doctor.places import place_of
from nalu_export.doctor.running import BEYOND, Runs, span
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.subject import Cell, Head
from nalu_export.nn import ArithmeticLayer
from nalu_export.statistics import NEAR, nearest

# tanh and σ of it are 1 in float64.
_SATURATED = 40.0
# A change of the output below this is no reason to warn.
HARMLESS = 0.01


def find(head: Head, runs: Runs | None, settings: Settings) -> Iterator[Finding]:
    """One finding for each layer with a weight farther than 0.01 from −1, 0 and 1."""
    whole: list[float] | None = None
    for number, cell in enumerate(head.cells):
        told = _told(cell)
        if not told:
            continue
        own = None if runs is None else _layer_change(cell, number, runs)
        if whole is None and len(head.cells) > 1 and runs is not None:
            whole = _head_change(head, runs)
        yield _finding(cell, told, own, whole, settings)


def _told(cell: Cell) -> str:
    """Which weights are far, in words; empty where none is, or where one is no number."""
    parts = []
    with torch.no_grad():
        weights = dict(cell.layer.effective_weights())
    for name, weight in weights.items():
        distance = (weight - nearest(weight)).abs()
        far = int((distance > NEAR).sum())
        if far and bool(weight.isfinite().all()):
            place = place_of(distance)
            parts.append(
                f"{far} of {weight.numel()} weights of {name} are farther than {NEAR} from −1, 0 and 1, the farthest "
                f"{float(weight[place]):.3g} at {list(place)}"
            )
    return "; ".join(parts)


def _finding(cell: Cell, told: str, own: list[float] | None, whole: list[float] | None, settings: Settings) -> Finding:
    near, far = span(settings.inputs), span(settings.inputs, BEYOND)
    if own is None:
        follows = "Outside its training range the layer is no sum or product of its inputs."
    else:
        follows = f"With the nearest of −1, 0 and 1 its output is another by {_percent(own[0])} on inputs of {near} "
        follows += f"and by {_percent(own[1])} on {far} (median)"
        follows += (
            f"; with all layers so, that of the whole head by {_percent(whole[0])} and {_percent(whole[1])}."
            if whole
            else "."
        )
    if own is not None and max(own) < HARMLESS:
        return Finding(
            "info", "far-weights", cell.where, f"{told}.", follows, "Nothing to do: they hardly matter to the output."
        )
    return Finding(
        "warning",
        "far-weights",
        cell.where,
        f"{told}.",
        follows,
        "Train longer, or with a penalty that pulls weights to −1, 0 and 1; until then do not rely on it outside its "
        "training range.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


def _layer_change(cell: Cell, number: int, runs: Runs) -> list[float] | None:
    """How far the layer's output moves on the inputs that reach it, near and far; ``None`` where it cannot be put."""
    snapped = copy.deepcopy(cell.layer)
    if not snap(snapped):
        return None
    changes = []
    for run in (runs.near, runs.far):
        x, y = run.inputs[number], run.outputs[number]
        if x is None or y is None:
            return None
        with torch.no_grad():
            changes.append(change(y, snapped(x)))
    return changes


def _head_change(head: Head, runs: Runs) -> list[float] | None:
    snapped = copy.deepcopy(head.module)
    if not all(snap(layer) for layer in snapped.modules() if isinstance(layer, ArithmeticLayer)):
        return None
    with torch.no_grad():
        return [change(run.result, snapped(factor * runs.x)) for run, factor in ((runs.near, 1.0), (runs.far, BEYOND))]


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


def change(before: Tensor, after: Tensor) -> float:
    """The median over samples and outputs of |a − b| / max(|a|, |b|): 0 the same, 1 another size, 2 another sign.

    Where exactly one of both is NaN or infinite it is 1, where both are the same, 0.
    """
    distance = (before - after).abs() / torch.maximum(before.abs(), after.abs())
    same = (before == after) | (before.isnan() & after.isnan())
    return float(distance.nan_to_num(1.0, 1.0).where(~same, torch.zeros(())).median())
