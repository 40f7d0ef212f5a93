"""Findings about the ε of log(|x| + ε): whether it survives the type of the arithmetic, and which inputs it changes."""

import math
from collections.abc import Iterator

import torch

from nalu_export.doctor.findings.base import Examined, Finder, Finding
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.statistics import NEAR, USUAL, said, short_of
from nalu_export.doctor.subject import Cell
from nalu_export.graph.reading import Epsilon

# An ε of this size changes inputs of 1e-3 by 1 %.
LARGE = 1e-5


def _find(examined: Examined) -> Iterator[Finding]:
    """Yield a finding for each ε that is zero or subnormal in the type of the arithmetic, or large."""
    for head in examined.subject.heads:
        for cell in head.cells:
            for epsilon in cell.layer.epsilons:
                yield from _lost(cell, epsilon, examined.settings)
                yield from _large(cell, epsilon, examined.settings)


def _named(epsilon: Epsilon) -> str:
    """Return ``"eps is 1e-10"``, with its position in the formula if that is not the usual one."""
    name, value = epsilon.name or "eps", short_of(epsilon.added or epsilon.floor)
    place = said(epsilon)
    return f"{name} is {value:g}" + ("" if place == USUAL else f" ({place})")


def _lost(cell: Cell, epsilon: Epsilon, settings: Settings) -> Iterator[Finding]:
    kind = settings.dtype
    held = float(torch.tensor(epsilon.floor, dtype=kind) + torch.tensor(epsilon.added, dtype=kind))
    if held == 0:
        yield Finding(
            "error",
            "eps-lost",
            cell.where,
            f"{_named(epsilon)}, which is 0 in {settings.compute}; the smallest positive number of that type is "
            f"{torch.finfo(kind).smallest_normal * torch.finfo(kind).eps:.2g}.",
            "An input of 0 gives log(0) = −∞. The product is then 0 if the weight of that input is positive, ∞ if it "
            "is negative, and NaN if it is 0.",
            "Compute in float32, or train with a larger eps.",
        )
    elif held < torch.finfo(kind).smallest_normal:
        yield Finding(
            "warning",
            "eps-subnormal",
            cell.where,
            f"{_named(epsilon)}, which is {held:.3g} in {settings.compute}, below the smallest normal number of that "
            f"type, {torch.finfo(kind).smallest_normal:.2g}.",
            "It has few significant digits. Hardware that flushes subnormal numbers to 0 gives log(0) = −∞ for an "
            "input of 0.",
            "Compute in float32, or train with a larger eps.",
        )


def _large(cell: Cell, epsilon: Epsilon, settings: Settings) -> Iterator[Finding]:
    low, high = settings.training_range
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    reach = _reach(epsilon)
    if reach < LARGE / NEAR and not 0 < smallest < reach:
        return
    inside = " The training range contains such inputs." if 0 < smallest < reach else ""
    count = f"count as more than {100 * NEAR:g}% larger than they are" if epsilon.added else f"count as {reach:g}"
    yield Finding(
        "info",
        "eps-large",
        cell.where,
        f"{_named(epsilon)}. In the product, inputs below {reach:g} {count}.{inside}",
        "Products of such inputs are off accordingly. eps is part of the trained function and is exported unchanged.",
        "Scale the inputs so that they are larger, or train with a smaller eps.",
    )


def _reach(epsilon: Epsilon) -> float:
    """Return the limit below which ε changes an input by more than 1 %, or replaces it."""
    size = epsilon.added / NEAR if epsilon.added else epsilon.floor
    # √(x² + ε) is larger than |x| by the share ε/(2x²).
    return math.sqrt(size / 2 if epsilon.added else size) if epsilon.square else size


FINDER = Finder(_find, ("eps-lost", "eps-subnormal", "eps-large"), rank=40)
