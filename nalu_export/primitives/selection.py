"""What chooses among values: signs and clamps."""

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Pair, ball
from nalu_export.primitives.precision import Precision
from nalu_export.primitives.record import Primitive


def _sign_unit(value: Tensor, x: Conditioned) -> Pair:
    jump = torch.where(x.value.abs() <= ROUNDOFF * x.error, 2.0 / ROUNDOFF, 0.0).to(value.dtype)
    return value.abs(), jump


def _sign_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    del p
    exact = (x.radius == 0) | (x.value.abs() > x.radius)
    return torch.where(exact, 0.0, 2.0).to(value.dtype)


def _clamp_unit(value: Tensor, x: Conditioned, low: float | None, high: float | None) -> Pair:
    del low, high
    return value.abs(), x.error


def _clamp_radius(p: Precision, value: Tensor, x: Conditioned, low: float | None, high: float | None) -> Tensor:
    del value
    ends = [ball(p, end).radius for end in (low, high) if end is not None]
    return torch.stack([x.radius, *(end.expand(x.radius.shape) for end in ends)]).amax(dim=0)


PRIMITIVES = (
    Primitive("sign", torch.sign, ("input",), names=("sign",), unit=_sign_unit, radius=_sign_radius),
    Primitive(
        "clamp",
        torch.clamp,
        ("input", "min", "max"),
        {"min": None, "max": None},
        names=("clamp", "clip"),
        unit=_clamp_unit,
        radius=_clamp_radius,
    ),
)
