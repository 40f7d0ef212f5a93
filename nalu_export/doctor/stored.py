"""A stored W: raw parameters that nothing reads beside it, and values that no NAC has."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nalu_export.doctor.findings import Finding
from nalu_export.doctor.initial import as_initialised
from nalu_export.doctor.places import place_of
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.subject import Cell, Subject
from nalu_export.nn.functional import effective_weight
from nalu_export.statistics import NEAR

# What rounding the stored W and its two factors to their own type may be off by, in its roundoffs.
_ROUNDOFFS = 8


@dataclass(frozen=True)
class Weight:
    """A weight that the file stores.

    Attributes:
        key: in the file.
        raw: keys of the raw parameters beside it, Ŵ first; empty where there are none.
    """

    key: str
    raw: tuple[str, ...]


def find(subject: Subject, settings: Settings) -> Iterator[Finding]:
    """For each stored weight whether it is what its raw parameters give, and whether it is within −1..1."""
    for head in subject.heads:
        for cell in head.cells:
            if getattr(cell.layer, "stored", False):
                for weight in _weights(subject, cell):
                    yield _faux(subject, weight, strict=settings.strict)
                    yield from _outside(subject, weight)


def _weights(subject: Subject, cell: Cell) -> list[Weight]:
    keys = [key for own, key in cell.keys.items() if own.startswith("W")]
    stale = set(stale_keys(subject))
    # Beside it is: under the same name but for the last part. A gate or the other path's weight is no raw parameter.
    return [
        Weight(key, tuple(raw for raw in subject.state if raw in stale and raw.rpartition(".")[0] == _before(key)))
        for key in keys
    ]


def stale_keys(subject: Subject) -> list[str]:
    """Keys of the raw parameters that nothing reads, Ŵ before M̂ in each pair."""
    if subject.fit is None:
        return []
    return [
        own + leaf
        for own in subject.fit.prefixes
        for leaf, key in subject.fit.unit.keys.items()
        if key.shape is not None and not (key.target or key.twin or key.argument)
    ]


def _before(key: str) -> str:
    return key.rpartition(".")[0]


def _faux(subject: Subject, weight: Weight, *, strict: bool) -> Finding:
    if len(weight.raw) != 2:
        return Finding(
            "error" if strict else "warning",
            "stored-weight",
            weight.key,
            "The weight itself is stored and computes; nothing holds it to tanh(W_hat)·σ(M_hat), as a NAC does.",
            "It is a linear layer: training did not pull it towards −1, 0 and 1.",
            "Export it as the linear layer that it is, or compute W in forward and train again.",
        )
    W_hat, M_hat = (subject.state[key].double() for key in weight.raw)
    stored, formula = subject.state[weight.key].double(), effective_weight(W_hat, M_hat)
    own = torch.finfo(subject.state[weight.key].dtype).eps
    names = f"tanh({_leaf(weight.raw[0])})·σ({_leaf(weight.raw[1])})"
    if bool(((stored - formula).abs() <= _ROUNDOFFS * own).all()):
        return Finding(
            "error" if strict else "warning",
            "faux-in-sync",
            weight.key,
            f"The weight is stored and computes; it is still {names}, to rounding.",
            "Either it was saved before its first step of training, or somebody computed it again afterwards. "
            "Training on moves the stored weight alone.",
            "Compute W in forward and train; to use it as it is, export it as the linear layer that it is.",
        )
    unread = " and ".join(map(_leaf, weight.raw))
    return Finding(
        "error",
        "faux-weights",
        weight.key,
        f"The weight is stored and computes; {names} is another matrix{_difference(stored, formula)}."
        f"{_start(subject, weight)}",
        f"{unread} are read by nothing and had no gradient; whoever computes W from them gets other numbers.",
        "Export it as the linear layer that it is (the stored W wins), or compute W in forward and train again.",
    )


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def _difference(stored: Tensor, formula: Tensor) -> str:
    distance = (stored - formula).abs()
    comparable = distance.isfinite()
    if not bool(comparable.any()):
        return ", and no value of both is finite"
    place = place_of(distance.where(comparable, torch.zeros(())))
    return (
        f", off by up to {float(distance[place]):.2g} ({float(stored[place]):.4g} is stored at {list(place)}, the "
        f"raw parameters give {float(formula[place]):.4g})"
    )


def _start(subject: Subject, weight: Weight) -> str:
    name = as_initialised(*(subject.state[key] for key in weight.raw))
    return "" if name is None else f" The raw parameters are still distributed as {name} draws them."


def _outside(subject: Subject, weight: Weight) -> Iterator[Finding]:
    magnitude = subject.state[weight.key].double().abs()
    outside = magnitude.isfinite() & (magnitude > 1)
    if not bool(outside.any()):
        return
    place = place_of(magnitude.where(outside, torch.zeros(())))
    largest = float(subject.state[weight.key][place])
    what = (
        f"{int(outside.sum())} of {magnitude.numel()} stored weights are outside −1..1; the largest is "
        f"{largest:.7g} at {list(place)}."
    )
    if abs(largest) <= 1 + NEAR:
        yield Finding(
            "info",
            "weight-outside",
            weight.key,
            what,
            f"None is farther than {NEAR} outside: −1 and 1 but for what training left.",
            "Nothing to do.",
        )
        return
    yield Finding(
        "warning",
        "weight-outside",
        weight.key,
        what,
        "tanh·σ cannot give them: the layer scales its inputs, and extrapolates as any linear layer does.",
        "If the task is sums and differences, train with W computed in forward, which keeps it within −1..1.",
    )
