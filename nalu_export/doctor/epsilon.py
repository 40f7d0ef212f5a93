"""The ε of log(|x| + ε): whether it survives the type of the arithmetic, and which inputs it changes."""

from collections.abc import Iterator

import torch

from nalu_export.doctor.findings import Finding
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.subject import Cell, Subject
from nalu_export.statistics import NEAR

# From here on inputs of a thousandth are changed by a hundredth.
LARGE = 1e-5


def find(subject: Subject, settings: Settings) -> Iterator[Finding]:
    """One finding for each layer whose ε is lost, coarse or large."""
    for head in subject.heads:
        for cell in head.cells:
            eps = getattr(cell.layer, "eps", None)
            if isinstance(eps, float) and eps > 0:
                yield from _lost(cell, eps, settings)
                yield from _large(cell, eps, settings)


def _lost(cell: Cell, eps: float, settings: Settings) -> Iterator[Finding]:
    kind, floor = settings.dtype, float(getattr(cell.layer, "floor", 0.0))
    magnitude = torch.tensor(floor, dtype=kind) + torch.tensor(eps, dtype=kind)
    held = float(magnitude)
    if held == 0:
        yield Finding(
            "error",
            "eps-lost",
            cell.where,
            f"eps is {eps:g}, which is 0 in {settings.compute}; the smallest number there is "
            f"{torch.finfo(kind).smallest_normal * torch.finfo(kind).eps:.2g}.",
            "An input of 0 gives log(0) = −∞, and the product 0, ∞ or NaN, as its weight is positive, negative or 0.",
            "Compute in float32, or train with a larger eps.",
        )
    elif held < torch.finfo(kind).smallest_normal:
        yield Finding(
            "warning",
            "eps-subnormal",
            cell.where,
            f"eps is {eps:g}, which is {held:.3g} in {settings.compute}, below its smallest normal number "
            f"{torch.finfo(kind).smallest_normal:.2g}.",
            "It is held with few digits, and hardware that takes subnormal numbers for 0 gives log(0) = −∞ at an input "
            "of 0.",
            "Compute in float32, or train with a larger eps.",
        )


def _large(cell: Cell, eps: float, settings: Settings) -> Iterator[Finding]:
    low, high = settings.inputs
    smallest = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    reach = eps / NEAR
    if eps < LARGE and not 0 < smallest < reach:
        return
    inside = " Inputs of the range that was given are among them." if 0 < smallest < reach else ""
    yield Finding(
        "info",
        "eps-large",
        cell.where,
        f"eps is {eps:g}; inputs below {reach:g} count as more than {100 * NEAR:g}% larger in the product.{inside}",
        "Products of small inputs are off by as much. It is part of the trained function, and exported as it is.",
        "Scale inputs so that they are larger than that, or train with a smaller eps.",
    )
