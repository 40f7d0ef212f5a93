"""Square roots and powers."""

import functools
import math

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.operands import UNIT, Operand, Pair, ball, change, exact, least_of, sign, zero_at_least
from nalu_export.primitives.precision import POW, SQRT, Precision
from nalu_export.primitives.record import Primitive


def _root(x: Tensor) -> Tensor:
    return torch.sqrt(x.clamp(min=0.0))


def _sqrt_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), change(_root, value, x, x.read)


def _sqrt_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    # √v − √(v − r) = r/(√v + √(v − r)), written without cancellation. A negative number has no root.
    lowest = x.lowest
    falls = torch.where(x.value > lowest, (x.value - lowest) / (value + torch.sqrt(lowest)), 0.0)
    rises = torch.where(x.radius > 0, x.radius / (value + torch.sqrt(x.value + x.radius)), 0.0)
    return p.rounded(value, torch.where(lowest >= 0, torch.maximum(falls, rises), torch.inf), SQRT)


def _pow_unit(value: Tensor, base: Operand, exponent: Operand) -> Pair:
    """Return size and D of ``exp(e·log b)``: the log adds ``D_b/b``; the product reads ``e`` with one rounding."""
    b, e = exact(base), exact(exponent)
    own = torch.where(b.error > 0, b.error / b.magnitude, 0.0)
    log = torch.where(b.value == 0, 0.0, torch.log(b.magnitude).abs())
    read = e.read if isinstance(exponent, Conditioned) else e.error
    share = e.value.abs() * own + log * read
    return value.abs(), value.abs() * (1.0 + torch.expm1(UNIT * share) / UNIT)


def _pow_radius(p: Precision, value: Tensor, base: Operand, exponent: Operand) -> Tensor:
    b, e = ball(p, base), ball(p, exponent)
    low, high = b.lowest, b.value + b.radius
    radius = torch.where(low > 0, _of_positive_base(value, b, e), torch.inf)
    # With a positive exponent, the power falls to 0 as the base falls to 0.
    top = torch.maximum(torch.pow(high, e.value + e.radius), torch.pow(high, e.value - e.radius))
    falls = (low == 0) & (e.value - e.radius > 0)
    radius = torch.where(falls, torch.maximum(top - value, value), radius)
    whole = (e.radius == 0) & (e.value == torch.round(e.value))
    radius = torch.where(whole & ~(low > 0), _of_whole_exponent(value, b, e.value), radius)
    return p.rounded(value, radius, POW)


def _of_positive_base(value: Tensor, b: Conditioned, e: Conditioned) -> Tensor:
    """Return the largest change of ``b^e``; it is monotone in b and in e, so it is at a corner of the two balls."""
    shrinks, grows = torch.log1p(-b.radius / b.value), torch.log1p(b.radius / b.value)
    log = torch.log(b.value)
    corners = [
        exponent * moved + step * log
        for moved in (shrinks, grows)
        for exponent, step in ((e.value + e.radius, e.radius), (e.value - e.radius, -e.radius))
    ]
    highest, lowest = functools.reduce(torch.maximum, corners), functools.reduce(torch.minimum, corners)
    change = value * torch.maximum(torch.expm1(highest), -torch.expm1(lowest))
    # A power that is 0 in float64 at the centre may be larger elsewhere in the balls.
    low, high = b.value - b.radius, b.value + b.radius
    ends = [torch.pow(x, y) for x in (low, high) for y in (e.value - e.radius, e.value + e.radius)]
    return torch.where(value == 0, functools.reduce(torch.maximum, ends), change)


def _of_whole_exponent(value: Tensor, b: Conditioned, n: Tensor) -> Tensor:
    """Return ``(|b| + r)ⁿ − |b|ⁿ``, for a base of either sign; for ``n < 0`` use ``|b| − r``, infinite if r ≥ |b|."""
    magnitude = b.magnitude
    share = b.radius / magnitude
    grown = value.abs() * torch.expm1(n * torch.log1p(share))
    shrunk = torch.where(share < 1, value.abs() * torch.expm1(n * torch.log1p(-share)), torch.inf)
    at_zero = torch.where(b.radius == 0, 0.0, torch.pow(b.radius, n))
    positive = torch.where(magnitude == 0, at_zero, grown)
    return torch.where(n == 0, 0.0, torch.where(n > 0, positive, shrunk))


def _pow_zero(base: Operand, exponent: Operand) -> Tensor:
    """Return +1 for a positive base or ``+0``; for other bases the sign depends on the exponent and is unknown here."""
    del exponent
    return (sign(base) > 0).double()


def _pow_least(p: Precision, base: Operand, exponent: Operand) -> float:
    even = not isinstance(exponent, Conditioned) and float(exponent) % 2 == 0
    return 0.0 if even or least_of(p, base) >= 0.0 else -math.inf


PRIMITIVES = (
    Primitive(
        "sqrt",
        torch.sqrt,
        ("input",),
        names=("sqrt",),
        unit=_sqrt_unit,
        radius=_sqrt_radius,
        zero=lambda x: (sign(x) > 0).double(),
        least=zero_at_least,
        delicate=True,
    ),
    Primitive(
        "pow",
        torch.pow,
        ("input", "exponent"),
        names=("pow",),
        unit=_pow_unit,
        radius=_pow_radius,
        zero=_pow_zero,
        least=_pow_least,
        delicate=True,
    ),
)
