"""One rule for each primitive: how far a correct evaluation of it may be from the exact value.

Ball arithmetic: every value is known up to a radius, and a rule gives the radius of a result from those of its
arguments, its own rounding included. Nothing is of first order only: monotone functions are enclosed at the ends of the
ball. See docs/parity.md for the derivation.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from nalu_export.parity.conditioned import Conditioned
from nalu_export.parity.precision import ASINH, COS, EXP, LOG, SINH, TANH, Precision

Radius = Callable[..., Tensor]
# Terms of a sum are heavy or light by the size of their weight beside the largest of the same output.
SPLITS = (0.0, 2.0**-40, 2.0**-24, 2.0**-16, 2.0**-8)


def _ball(p: Precision, x: Conditioned | float) -> Conditioned:
    """A number written into the formula is rounded to the type that computes."""
    if isinstance(x, Conditioned):
        return x
    value = torch.tensor(float(x), dtype=torch.float64)
    return Conditioned.exact(value, p.representation(value))


def _linear(p: Precision, value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Tensor:
    """``Σ w·x``: what the factors bring along, one rounding for each product, and the additions."""
    del value  # rounding goes by the size of the terms, not of what is left of them
    inputs, weights = x.value.abs() + x.radius, weight.value.abs() + weight.radius
    size = linear(inputs, weights)
    radius = p.product * size + p.tiny * _count(inputs > 0, weights > 0)
    # Raw weights and the model's own inputs are exact, and a product with nothing costs as much as any other.
    if bool(weight.radius.any()):
        radius = radius + linear(x.value.abs(), weight.radius)
    if bool(x.radius.any()):
        radius = radius + linear(x.radius, weights)
    # A sum may start from the bias, so that every product is rounded against it.
    start = None if bias is None else bias.value.abs() + bias.radius
    if bias is not None:
        radius = radius + bias.radius
    radius = radius + _additions(p, size, inputs, weight, start)
    # Each of the roundings above acts on values that the others have moved.
    radius = radius * (1.0 + p.addition * (weights.shape[-1] + 2))
    return radius if not bool((size > p.largest).any()) else torch.where(_chaotic(p, x, weight), torch.inf, radius)


def _chaotic(p: Precision, x: Conditioned, weight: Conditioned) -> Tensor:
    """Where partial sums of both signs may overflow: then the order decides between a number, ±∞ and NaN."""
    plus, minus = x.value.clamp(min=0.0), (-x.value).clamp(min=0.0)
    up, down = weight.value.clamp(min=0.0), (-weight.value).clamp(min=0.0)
    positive, negative = linear(plus, up) + linear(minus, down), linear(plus, down) + linear(minus, up)
    return (torch.maximum(positive, negative) > p.largest / 2) & (torch.minimum(positive, negative) > 0)


def _count(present: Tensor, weights: Tensor) -> Tensor:
    """How many terms of each sum are not zero."""
    if bool(present.all()):
        return weights.sum(dim=-1).double()
    return linear(present.double(), weights.double())


def _additions(p: Precision, size: Tensor, inputs: Tensor, weight: Conditioned, start: Tensor | None) -> Tensor:
    """Largest error of the additions, in whatever order: ``min over splits of u·(heavy − 1)·size + light``.

    An addition errs by at most u times its result, and by at most the smaller of its two terms, because the larger one
    is a number to which it could have been rounded. So terms that count for little cost no more than they are.
    """
    # By the weights themselves and not by their balls, so that a wider ball never makes a narrower sum.
    magnitudes, weights = weight.value.abs(), weight.value.abs() + weight.radius
    largest = magnitudes.amax(dim=-1, keepdim=True)
    best = torch.full_like(size, torch.inf)
    whole = size if start is None else size + start
    before = -1
    # An adder that cuts digits off does not take the nearest number.
    for split in SPLITS[:1] if p.tf32 else SPLITS:
        heavy = (magnitudes >= split * largest) & (weights > 0)
        if int(heavy.sum()) == before:
            continue
        before = int(heavy.sum())
        count = _count(inputs > 0, heavy)
        if start is not None:
            count = count + (start > 0)
        light = linear(inputs, torch.where(heavy, 0.0, weights)) if split else 0.0
        best = torch.minimum(best, p.addition * (count - 1.0).clamp(min=0.0) * whole + light)
    return best


def _sum(p: Precision, value: Tensor, left: Conditioned | float, right: Conditioned | float) -> Tensor:
    a, b = _ball(p, left), _ball(p, right)
    radius = p.rounded(value, a.radius + b.radius)
    # ∞ − ∞ is NaN.
    both = torch.minimum(a.value.abs() + a.radius, b.value.abs() + b.radius) > p.largest
    return torch.where(both & (value.abs() <= p.largest), torch.inf, radius)


def _product_radius(a: Conditioned, b: Conditioned) -> Tensor:
    return a.value.abs() * b.radius + b.value.abs() * a.radius + a.radius * b.radius


def _mul(p: Precision, value: Tensor, left: Conditioned | float, right: Conditioned | float) -> Tensor:
    return p.rounded(value, _product_radius(_ball(p, left), _ball(p, right)))


def _div(p: Precision, value: Tensor, left: Conditioned | float, right: Conditioned | float) -> Tensor:
    a, b = _ball(p, left), _ball(p, right)
    smallest = b.value.abs() - b.radius
    radius = torch.where(smallest > 0, (a.radius + value.abs() * b.radius) / smallest, torch.inf)
    return p.rounded(value, radius)


def _same(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    del p, value
    return x.radius


def _log(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    share = x.radius / x.value
    return p.rounded(value, torch.where(share < 1, -torch.log1p(-share), torch.inf), LOG)


def _exp(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = p.rounded(value, value * torch.expm1(x.radius), EXP)
    return radius if p.exp_limit == math.inf else torch.where(x.value + x.radius > p.exp_limit, torch.inf, radius)


def _tanh(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.value.abs() - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius * (1.0 - torch.tanh(nearest) ** 2), TANH)


def _sinh(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    # sinh(|x| + r) − sinh(|x|), without the cancellation.
    spread = 2.0 * torch.cosh(x.value.abs() + x.radius / 2) * torch.sinh(x.radius / 2)
    radius = p.rounded(value, spread, SINH)
    # Kernels go by exp, of which some are infinite early.
    return radius if p.exp_limit == math.inf else torch.where(x.value.abs() + x.radius > p.exp_limit, torch.inf, radius)


def _asinh(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.value.abs() - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius / torch.sqrt(nearest * nearest + 1.0), ASINH)


def _sigmoid(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    """Also ``1/(1 + exp(−z))``: the exponential, an addition and a quotient."""
    spread = torch.maximum(torch.sigmoid(x.value + x.radius) - value, value - torch.sigmoid(x.value - x.radius))
    return p.rounded(value, spread, EXP + 2.0)


def _cos(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = (torch.sin(x.value).abs() * x.radius + x.radius**2 / 2).clamp(max=2.0)
    # Absolute: near a zero of the cosine no float32 argument reduction is accurate in relative terms.
    return radius + COS * p.roundoff + torch.zeros_like(value)


def _sign(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    del p
    exact = (x.radius == 0) | (x.value.abs() > x.radius)
    return torch.where(exact, 0.0, 2.0).to(value.dtype)


def _clamp(p: Precision, value: Tensor, x: Conditioned, low: float | None, high: float | None) -> Tensor:
    del value
    ends = [_ball(p, end).radius for end in (low, high) if end is not None]
    return torch.stack([x.radius, *(end.expand(x.radius.shape) for end in ends)]).amax(dim=0)


def _prod(p: Precision, value: Tensor, x: Conditioned, dim: int, keepdim: bool) -> Tensor:
    del value  # the partial products are needed
    values, radii = x.value.unbind(dim), x.radius.unbind(dim)
    total, radius = values[0], radii[0]
    for factor, own in zip(values[1:], radii[1:], strict=True):
        radius = total.abs() * own + factor.abs() * radius + radius * own
        total = total * factor
        radius = p.rounded(total, radius)
    return radius.unsqueeze(dim) if keepdim else radius


def _unsqueeze(p: Precision, value: Tensor, x: Conditioned, dim: int) -> Tensor:
    del p, value
    return x.radius.unsqueeze(dim)


def _cast(p: Precision, value: Tensor, x: Conditioned, dtype: Any) -> Tensor:
    del p, value, dtype  # where a file converts is known from its mode, see ErrorAnalysis
    return x.radius


RADII: dict[str, Radius] = {
    "linear": _linear,
    "add": _sum,
    "sub": _sum,
    "mul": _mul,
    "div": _div,
    "neg": _same,
    "abs": _same,
    "sign": _sign,
    "log": _log,
    "exp": _exp,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sinh": _sinh,
    "asinh": _asinh,
    "cos": _cos,
    "clamp": _clamp,
    "prod": _prod,
    "unsqueeze": _unsqueeze,
    "cast": _cast,
}
