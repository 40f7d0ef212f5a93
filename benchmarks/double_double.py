"""Arithmetic with some 106 bits: a number is the unevaluated sum ``hi + lo`` of two float64, ``|lo| ≤ ulp(hi)/2``.

float64 is not enough to judge a float32 file. Past z ≈ 36 it rounds ``1 − σ(z)`` to 0, and what that multiplies can be
1e30. Here the same expression keeps digits up to z ≈ 70. Products use Dekker's split (1971), so that no fused
multiply-add is needed. Functions are good to 2⁻⁹⁶ of their value for exponents within ±650 and angles within ±50.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

_SPLIT = 134217729.0  # 2²⁷ + 1
# exp: the argument is halved this often, and the series then has this many terms.
_HALVINGS, _TERMS, _TRIGONOMETRIC = 9, 8, 15
_OVERFLOW, _UNDERFLOW = 709.0, -700.0


class Pair(NamedTuple):
    """One tensor of numbers, in two float64 tensors of one shape."""

    hi: Tensor
    lo: Tensor


def exactly(value: Tensor | float) -> Pair:
    """A float64 as a pair."""
    hi = torch.as_tensor(value, dtype=torch.float64)
    return Pair(hi, torch.zeros_like(hi))


def _constant(text: str) -> Pair:
    value = Fraction(text)
    hi = float(value)
    return Pair(*(torch.tensor(part, dtype=torch.float64) for part in (hi, float(value - Fraction(hi)))))


LN2 = _constant("0.693147180559945309417232121458176568075500134360255")
LN10 = _constant("2.302585092994045684017991454684364207601101488628773")
HALF_PI = _constant("1.570796326794896619231321691639751442098584699687553")
ONE = exactly(1.0)
_INVERSE_FACTORIALS = [_constant(str(Fraction(1, math.factorial(n)))) for n in range(2 * _TRIGONOMETRIC + 2)]


def _sum(a: Tensor, b: Tensor) -> Pair:
    """``a + b`` without any error (Knuth)."""
    s = a + b
    t = s - a
    return Pair(s, (a - (s - t)) + (b - t))


def joined(hi: Tensor, lo: Tensor) -> Pair:
    """The same for ``|hi| ≥ |lo|``; what is infinite or NaN has no second part."""
    s = hi + lo
    return Pair(s, torch.where(torch.isfinite(s), lo - (s - hi), 0.0))


def _product(a: Tensor, b: Tensor) -> Pair:
    """``a·b`` without any error (Dekker)."""
    p = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return Pair(p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2)


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    t = _SPLIT * a
    high = t - (t - a)
    return high, a - high


def neg(a: Pair) -> Pair:
    """``−a``."""
    return Pair(-a.hi, -a.lo)


def add(a: Pair, b: Pair) -> Pair:
    """``a + b``."""
    s, t = _sum(a.hi, b.hi), _sum(a.lo, b.lo)
    first = joined(s.hi, s.lo + t.hi)
    return joined(first.hi, first.lo + t.lo)


def sub(a: Pair, b: Pair) -> Pair:
    """``a − b``."""
    return add(a, neg(b))


def mul(a: Pair, b: Pair) -> Pair:
    """``a·b``."""
    p = _product(a.hi, b.hi)
    return joined(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi))


def div(a: Pair, b: Pair) -> Pair:
    """``a / b``, by long division with three digits."""
    first = a.hi / b.hi
    rest = sub(a, mul(b, exactly(first)))
    second = rest.hi / b.hi
    rest = sub(rest, mul(b, exactly(second)))
    head = joined(first, second)
    return joined(head.hi, head.lo + rest.hi / b.hi)


def scaled(a: Pair, factor: float | Tensor) -> Pair:
    """``a`` times a power of two."""
    return Pair(a.hi * factor, a.lo * factor)


def select(condition: Tensor, a: Pair, b: Pair) -> Pair:
    """``a`` where the condition holds, ``b`` elsewhere."""
    return Pair(torch.where(condition, a.hi, b.hi), torch.where(condition, a.lo, b.lo))


def less(a: Pair, b: Pair) -> Tensor:
    """``a < b``."""
    return (a.hi < b.hi) | ((a.hi == b.hi) & (a.lo < b.lo))


def absolute(a: Pair) -> Pair:
    """``|a|``."""
    return select(a.hi < 0, neg(a), a)


def sqrt(a: Pair) -> Pair:
    """``√a``: one Newton step from float64."""
    root = exactly(torch.sqrt(a.hi))
    step = scaled(div(sub(a, mul(root, root)), root), 0.5)
    return select(a.hi > 0, add(root, step), root)


def expm1(a: Pair) -> Pair:
    """``eᵃ − 1``; exact in the first digits also where a is small."""
    k = torch.where(a.hi.abs() < 0.35, 0.0, torch.round(a.hi / LN2.hi)).clamp(-1022.0, 1023.0)
    r = scaled(sub(a, mul(exactly(k), LN2)), 0.5**_HALVINGS)
    s = exactly(torch.zeros_like(r.hi))
    for n in range(_TERMS, 0, -1):
        s = mul(r, add(_INVERSE_FACTORIALS[n], s))
    for _ in range(_HALVINGS):
        s = add(scaled(s, 2.0), mul(s, s))  # e²ˢ − 1 from eˢ − 1
    power = torch.ldexp(torch.ones_like(k), k.to(torch.int32))
    s = select(k == 0, s, sub(scaled(add(s, ONE), power), ONE))
    return select(a.hi > _OVERFLOW, exactly(torch.full_like(k, torch.inf)), s)


def exp(a: Pair) -> Pair:
    """``eᵃ``; 0 below 1e-304, infinite above 8e307."""
    # Not 1 + expm1(a): for a = −50 that would leave nothing.
    k = torch.round(a.hi / LN2.hi).clamp(-1010.0, 1023.0)
    small = add(expm1(sub(a, mul(exactly(k), LN2))), ONE)
    scaled_back = scaled(small, torch.ldexp(torch.ones_like(k), k.to(torch.int32)))
    zero = exactly(torch.zeros_like(k))
    infinite = exactly(torch.full_like(k, torch.inf))
    return select(a.hi < _UNDERFLOW, zero, select(a.hi > _OVERFLOW, infinite, scaled_back))


def log1p(a: Pair) -> Pair:
    """``log(1 + a)``, exact in the first digits also where a is small."""
    return select(a.hi > 0.5, _far_log(add(ONE, a)), _near_log(a))


def log(a: Pair) -> Pair:
    """``log a``; −∞ at 0 and NaN below, as in float64."""
    found = select((a.hi > 0.5) & (a.hi < 1.5), _near_log(sub(a, ONE)), _far_log(a))
    return select((a.hi > 0) & torch.isfinite(a.hi), found, exactly(torch.log(a.hi)))


def _near_log(a: Pair) -> Pair:
    """``log(1 + a)`` for small a: Newton's step from float64 and one more term."""
    y = exactly(torch.log1p(a.hi))
    e = expm1(neg(y))
    d = add(e, add(a, mul(a, e)))  # (1 + a)·e⁻ʸ − 1
    return add(y, sub(d, scaled(mul(d, d), 0.5)))


def _far_log(a: Pair) -> Pair:
    """``log a`` away from 1, the same way."""
    y = exactly(torch.log(a.hi))
    d = sub(mul(a, exp(neg(y))), ONE)
    return add(y, sub(d, scaled(mul(d, d), 0.5)))


def tanh(a: Pair) -> Pair:
    """``tanh a``."""
    t = expm1(scaled(neg(absolute(a)), 2.0))
    found = neg(div(t, add(t, exactly(2.0))))
    return select(a.hi < 0, neg(found), found)


def sigmoid(a: Pair) -> Pair:
    """``σ(a)``, small where it is small."""
    e = exp(neg(absolute(a)))
    below = add(ONE, e)
    return select(a.hi < 0, div(e, below), div(ONE, below))


def sinh(a: Pair) -> Pair:
    """``sinh a``."""
    t = expm1(absolute(a))
    found = scaled(add(t, div(t, add(t, ONE))), 0.5)
    return select(a.hi < 0, neg(found), found)


def asinh(a: Pair) -> Pair:
    """``asinh a``."""
    x = absolute(a)
    square = mul(x, x)
    found = log1p(add(x, div(square, add(ONE, sqrt(add(square, ONE))))))
    return select(a.hi < 0, neg(found), found)


def cos(a: Pair) -> Pair:
    """``cos a`` for arguments up to some thousands."""
    return _turned(a, 1)


def sin(a: Pair) -> Pair:
    """``sin a`` for arguments up to some thousands."""
    return _turned(a, 0)


def _turned(a: Pair, quarter: int) -> Pair:
    """``sin(a + quarter·π/2)``."""
    turns = torch.round(a.hi / HALF_PI.hi)
    r = sub(a, mul(exactly(turns), HALF_PI))
    square = neg(mul(r, r))
    sine, cosine = exactly(torch.zeros_like(r.hi)), exactly(torch.zeros_like(r.hi))
    for n in range(_TRIGONOMETRIC, 0, -1):
        sine = mul(square, add(_INVERSE_FACTORIALS[2 * n + 1], sine))
        cosine = mul(square, add(_INVERSE_FACTORIALS[2 * n], cosine))
    sine, cosine = mul(r, add(ONE, sine)), add(ONE, cosine)
    place = torch.remainder(turns + quarter, 4.0)
    found = select(torch.remainder(place, 2.0) == 1.0, cosine, sine)
    return select(place >= 2.0, neg(found), found)
