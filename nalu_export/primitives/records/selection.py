"""Clamps, and the larger or the smaller of two numbers."""

from collections.abc import Callable

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Operand, Pair, ball, exact, least_of
from nalu_export.primitives.precision import OWN_ROUNDING, Precision
from nalu_export.primitives.record import Primitive


def _clamp_unit(value: Tensor, x: Conditioned, low: float | None, high: float | None) -> Pair:
    del low, high
    return value.abs(), x.error


def _clamp_radius(p: Precision, value: Tensor, x: Conditioned, low: float | None, high: float | None) -> Tensor:
    """Return the radius; beyond an end, only the part that reaches back counts: a ReLU that is surely off is exact."""
    del value
    ends = [float(ball(p, end).radius) for end in (low, high) if end is not None]
    radius, rounding = x.radius, OWN_ROUNDING * x.reach
    for end, side in ((low, 1.0), (high, -1.0)):
        if end is not None:
            beyond = side * (end - x.value)  # negative inside the range; then the minimum below is the radius
            reaching = torch.where(x.radius < beyond, 0.0, x.radius - beyond + rounding)
            radius = torch.minimum(radius, reaching)
    return radius.clamp(min=max(ends)) if any(ends) else radius


def _clamp_least(p: Precision, x: Conditioned, low: float | None, high: float | None) -> float:
    least = x.least if low is None else max(x.least, least_of(p, low))
    return least if high is None else min(least, least_of(p, high))


def _extreme(name: str, function: Callable[[Tensor, Tensor], Tensor]) -> Primitive:
    """Return the record of ``maximum`` or ``minimum``; its error is the larger among possible results."""
    up = 1.0 if name == "maximum" else -1.0

    def unit(value: Tensor, left: Operand, right: Operand) -> Pair:
        errors = [x.error - up * (value - x.value) / ROUNDOFF for x in (exact(left), exact(right))]
        return value.abs(), torch.maximum(*errors).clamp(min=0.0)

    def radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
        a, b = ball(p, left), ball(p, right)
        # The largest is at least this large. An operand that surely stays below cannot be the result.
        surely = torch.maximum(up * a.value - a.radius, up * b.value - b.radius)
        surely = surely - OWN_ROUNDING * surely.abs()
        radii = [torch.where(up * x.value + x.radius < surely, 0.0, x.radius) for x in (a, b)]
        return torch.maximum(*radii) + torch.zeros_like(value)

    def least(p: Precision, left: Operand, right: Operand) -> float:
        return (max if up > 0 else min)(least_of(p, left), least_of(p, right))

    return Primitive(name, function, ("input", "other"), names=(name,), unit=unit, radius=radius, least=least)


PRIMITIVES = (
    Primitive(
        "clamp",
        torch.clamp,
        ("input", "min", "max"),
        {"min": None, "max": None},
        names=("clamp", "clip"),
        unit=_clamp_unit,
        radius=_clamp_radius,
        least=_clamp_least,
    ),
    _extreme("maximum", torch.maximum),
    _extreme("minimum", torch.minimum),
)
