"""Sine and cosine."""

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Pair
from nalu_export.primitives.precision import COS, SIN, Precision
from nalu_export.primitives.record import Primitive

# Below this magnitude no kernel reduces the argument, and a sine is accurate relative to its size.
UNREDUCED = 0.75


def _wave_unit(value: Tensor, x: Conditioned, slope: Tensor) -> Pair:
    read = x.read
    return value.abs(), (slope.abs() * read + ROUNDOFF / 2 * read * read).clamp(max=2.0 / ROUNDOFF)


def _wave_spread(x: Conditioned, slope: Tensor) -> Tensor:
    """Return ``|f′|·r + r²/2``, at most 2: the distance from −1 to 1."""
    return (slope.abs() * x.radius + x.radius**2 / 2).clamp(max=2.0)


def _sin_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    spread = _wave_spread(x, torch.cos(x.value))
    # An absolute error elsewhere: no float32 argument reduction is relatively accurate near a zero of the sine.
    near = x.reach < UNREDUCED
    return torch.where(near, p.rounded(value, spread, SIN), spread + SIN * p.roundoff)


def _cos_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    return _wave_spread(x, torch.sin(x.value)) + COS * p.roundoff + torch.zeros_like(value)


PRIMITIVES = (
    Primitive(
        "sin",
        torch.sin,
        ("input",),
        names=("sin",),
        unit=lambda value, x: _wave_unit(value, x, torch.cos(x.value)),
        radius=_sin_radius,
    ),
    Primitive(
        "cos",
        torch.cos,
        ("input",),
        names=("cos",),
        unit=lambda value, x: _wave_unit(value, x, torch.sin(x.value)),
        radius=_cos_radius,
    ),
)
