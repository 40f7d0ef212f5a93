"""Findings about a stored W: unread raw parameters beside it, and values that a NAC cannot have."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from nalu_export.doctor.findings.base import Examined, Finder, Finding
from nalu_export.doctor.initialisers import as_initialised
from nalu_export.doctor.places import place_of
from nalu_export.doctor.statistics import NEAR
from nalu_export.doctor.subject import Cell, Subject
from nalu_export.nn.functional import effective_weight

# How far rounding of the stored W and its two factors to their type may move them apart, in roundoffs of that type.
_ROUNDOFFS = 8
_LINEAR = "Export it as a linear layer with the stored W, or compute W in forward and train again."


@dataclass(frozen=True)
class Weight:
    """A weight that the file stores.

    Attributes:
        key: its key in the file.
        raw: keys of the raw parameters beside it, Ŵ first; empty if there are none.
    """

    key: str
    raw: tuple[str, ...]


def _find(examined: Examined) -> Iterator[Finding]:
    """Yield findings for each stored weight: does it equal its raw parameters' W, and is it within −1..1."""
    subject = examined.subject
    level = "error" if examined.settings.strict else "warning"
    for head in subject.heads:
        for cell in head.cells:
            weights = _weights(subject, cell)
            alone = [weight.key for weight in weights if len(weight.raw) != 2]
            if alone:
                yield _stored(cell, alone, level)
            for weight in weights:
                if weight.key not in alone:
                    yield _faux(subject, weight, level)
                yield from _outside(subject, weight)


def _weights(subject: Subject, cell: Cell) -> list[Weight]:
    """Return the stored weights of a layer that its owner may take for weights of a NAC."""
    found: dict[str, Weight] = {}
    for weight in cell.layer.weights:
        if weight.is_computed:
            continue
        key = cell.key(cell.form.parameters(weight.node)[0])
        if key not in subject.state:
            continue
        raw = _beside(subject, key)
        # A layer without a sum stores its exponents by design, for example a neural power unit.
        if raw or "sum" in weight.sides or cell.layer.gates:
            found[key] = Weight(key, raw)
    return list(found.values())


def _beside(subject: Subject, key: str) -> tuple[str, ...]:
    """Return unread parameters whose key differs only in the last part, Ŵ first.

    A gate or a weight of the other path is read, so it is no raw parameter.
    """
    shape = subject.state[key].shape
    found = [
        raw
        for raw in subject.unread
        if _before(raw) == _before(key) and subject.state[raw].shape in (shape, shape[::-1])
    ]
    masks_first = len(found) == 2 and _leaf(found[0]).lower().startswith("m")
    return tuple(reversed(found)) if masks_first else tuple(found)


def _before(key: str) -> str:
    return key.rpartition(".")[0]


def _stored(cell: Cell, keys: list[str], level: str) -> Finding:
    are = f"{' and '.join(keys)} {'is' if len(keys) == 1 else 'are'}"
    return Finding(
        level,
        "stored-weight",
        cell.where,
        f"{are} stored, not computed as tanh(W_hat)·σ(M_hat), and there are no raw parameters W_hat and M_hat.",
        "A faux NAC: a linear weight was trained, and nothing pulled it towards −1, 0 and 1.",
        _LINEAR,
    )


def _faux(subject: Subject, weight: Weight, level: str) -> Finding:
    W_hat, M_hat = (subject.state[key].double() for key in weight.raw)
    stored, formula = subject.state[weight.key].double(), effective_weight(W_hat, M_hat)
    own = torch.finfo(subject.state[weight.key].dtype).eps
    names = f"tanh({_leaf(weight.raw[0])})·σ({_leaf(weight.raw[1])})"
    if bool(((stored - formula).abs() <= _ROUNDOFFS * own).all()):
        return Finding(
            level,
            "faux-in-sync",
            weight.key,
            f"{_leaf(weight.key)} is stored, and the model computes with it. It equals {names} up to rounding.",
            f"A faux NAC: it was saved before its first training step, or {_leaf(weight.key)} was computed again after "
            f"training. Further training changes only {_leaf(weight.key)}.",
            _LINEAR,
        )
    unread = " and ".join(map(_leaf, weight.raw))
    return Finding(
        "error",
        "faux-weights",
        weight.key,
        f"{_leaf(weight.key)} is stored, and the model computes with it. {names} is a different matrix"
        f"{_difference(stored, formula)}.{_start(subject, weight)}",
        f"A faux NAC: the model does not read {unread}, so they cannot have been trained. Computing "
        f"{_leaf(weight.key)} from them gives different results.",
        _LINEAR,
    )


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def _difference(stored: Tensor, formula: Tensor) -> str:
    distance = (stored - formula).abs()
    comparable = distance.isfinite()
    if not bool(comparable.any()):
        return ": no value is finite in both"
    place = place_of(distance.where(comparable, torch.zeros(())))
    return (
        f": it differs by up to {float(distance[place]):.2g} (at {list(place)}, "
        f"{float(stored[place]):.4g} is stored and the raw parameters give {float(formula[place]):.4g})"
    )


def _start(subject: Subject, weight: Weight) -> str:
    names = as_initialised(*(subject.state[key] for key in weight.raw))
    return f" The raw parameters are still distributed as {' or '.join(names)} draws them." if names else ""


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
            f"None is more than {NEAR} outside, so they stand for −1 and 1.",
            "Nothing to do.",
        )
        return
    yield Finding(
        "warning",
        "weight-outside",
        weight.key,
        what,
        "tanh(W_hat)·σ(M_hat) cannot give such values: nothing kept this weight within −1..1.",
        "Train with W computed in forward, which keeps it within −1..1.",
    )


FINDER = Finder(_find, ("stored-weight", "faux-in-sync", "faux-weights", "weight-outside"), rank=20)
