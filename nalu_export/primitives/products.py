"""Sums of products: linear maps, and matrix products of which both sides are data."""

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import linear

from nalu_export.primitives.conditioned import Conditioned, Flag
from nalu_export.primitives.operands import Pair, sign
from nalu_export.primitives.precision import Precision, own_rounding
from nalu_export.primitives.record import Primitive

# Terms of a sum are heavy or light by the size of their weight beside the largest of the same output.
SPLITS = (0.0, 2.0**-40, 2.0**-24, 2.0**-16, 2.0**-8)


def _linear_unit(value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Pair:
    del value
    magnitude = weight.value.abs()
    size = linear(x.value.abs(), magnitude)
    error = linear(x.error + x.value.abs(), magnitude)
    if bias is not None:
        size, error = size + bias.value.abs(), error + bias.value.abs()
    return size, error


def _linear_radius(
    p: Precision, value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None
) -> Tensor:
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
    radius = radius + own_rounding(p, weights.shape[-1] + 1.0, size if start is None else size + start)
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


def _linear_zero(x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Tensor:
    if bias is not None:
        return torch.zeros(())
    inputs, weights = sign(x), sign(weight)
    positive = linear((inputs > 0).double(), (weights > 0).double()) + linear(
        (inputs < 0).double(), (weights < 0).double()
    )
    return (positive > 0).double()


def _linear_spread(flag: Flag, value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Tensor:
    found = torch.maximum(flag(x).amax(dim=-1, keepdim=True), flag(weight).amax(dim=-1))
    return (found if bias is None else torch.maximum(found, flag(bias))).expand(value.shape)


# Matrix products ----------------------------------------------------------------------------------------------------


def _matmul_unit(value: Tensor, left: Conditioned, right: Conditioned) -> Pair:
    del value
    a, b = left.value.abs(), right.value.abs()
    return torch.matmul(a, b), torch.matmul(left.error + a, b) + torch.matmul(a, right.error)


def _matmul_radius(p: Precision, value: Tensor, left: Conditioned, right: Conditioned) -> Tensor:
    """As of a linear map, of which every term is heavy."""
    del value
    a, b = left.value.abs() + left.radius, right.value.abs() + right.radius
    size = torch.matmul(a, b)
    count = torch.matmul((a > 0).double(), (b > 0).double())
    radius = (p.product + p.addition * (count - 1.0).clamp(min=0.0)) * size + p.tiny * count
    radius = radius + torch.matmul(left.value.abs(), right.radius) + torch.matmul(left.radius, b)
    radius = radius * (1.0 + p.addition * (count + 2.0))
    plus, minus = left.value.clamp(min=0.0), (-left.value).clamp(min=0.0)
    up, down = right.value.clamp(min=0.0), (-right.value).clamp(min=0.0)
    positive = torch.matmul(plus, up) + torch.matmul(minus, down)
    negative = torch.matmul(plus, down) + torch.matmul(minus, up)
    either = torch.maximum(positive, negative) > p.largest / 2
    chaotic = (size > p.largest) & either & (torch.minimum(positive, negative) > 0)
    return torch.where(chaotic, torch.inf, radius)


def _matmul_zero(left: Conditioned, right: Conditioned) -> Tensor:
    a, b = sign(left), sign(right)
    positive = torch.matmul((a > 0).double(), (b > 0).double()) + torch.matmul((a < 0).double(), (b < 0).double())
    return (positive > 0).double()


def _matmul_spread(flag: Flag, value: Tensor, left: Conditioned, right: Conditioned) -> Tensor:
    rows, columns = flag(left).amax(dim=-1), flag(right).amax(dim=-2 if right.value.ndim > 1 else -1)
    if left.value.ndim > 1 and right.value.ndim > 1:
        rows, columns = rows.unsqueeze(-1), columns.unsqueeze(-2)
    return torch.maximum(rows, columns).expand(value.shape)


PRIMITIVES = (
    Primitive(
        "linear",
        F.linear,
        ("input", "weight", "bias"),
        {"bias": None},
        names=("linear",),
        unit=_linear_unit,
        radius=_linear_radius,
        zero=_linear_zero,
        kind="linear",
        spread=_linear_spread,
    ),
    Primitive(
        "matmul",
        torch.matmul,
        ("input", "other"),
        names=("matmul",),
        unit=_matmul_unit,
        radius=_matmul_radius,
        zero=_matmul_zero,
        kind="linear",
        spread=_matmul_spread,
    ),
)
