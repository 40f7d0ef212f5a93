"""Rounding to whole numbers, and the sign."""

from collections.abc import Callable

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Pair, zero_if_positive
from nalu_export.primitives.precision import Precision
from nalu_export.primitives.record import Primitive


def _sign_unit(value: Tensor, x: Conditioned) -> Pair:
    jump = torch.where(x.magnitude <= ROUNDOFF * x.error, 2.0 / ROUNDOFF, 0.0).to(value.dtype)
    return value.abs(), jump


def _sign_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    del p
    exact = (x.radius == 0) | (x.magnitude > x.radius)
    return torch.where(exact, 0.0, 2.0).to(value.dtype)


def _steps(name: str, function: Callable[[Tensor], Tensor], *names: str) -> Primitive:
    """Return the record of ``floor``, ``ceil``, ``round`` or ``trunc``; monotone, so the ends of the ball bound it."""

    def unit(value: Tensor, x: Conditioned) -> Pair:
        moved = ROUNDOFF * x.error
        jump = torch.maximum(function(x.value + moved) - value, value - function(x.value - moved))
        return value.abs(), jump / ROUNDOFF

    def radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
        del p
        low, high = (
            torch.nextafter(x.lowest, -x.radius - torch.inf),
            torch.nextafter(x.value + x.radius, x.radius + torch.inf),
        )
        spread = torch.maximum(function(high) - value, value - function(low))
        return torch.where(x.radius == 0, 0.0, spread)

    return Primitive(
        name,
        function,
        ("input",),
        names=(name, *names),
        unit=unit,
        radius=radius,
        least=zero_if_positive,
        neutral={"decimals": 0},
    )


PRIMITIVES = (
    Primitive(
        "sign",
        torch.sign,
        ("input",),
        names=("sign", "sgn"),
        unit=_sign_unit,
        radius=_sign_radius,
        least=zero_if_positive,
    ),
    _steps("floor", torch.floor),
    _steps("ceil", torch.ceil),
    _steps("round", torch.round),
    _steps("trunc", torch.trunc, "fix"),
)
