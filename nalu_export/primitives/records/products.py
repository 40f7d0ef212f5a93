"""Sums of products: linear maps, and matrix products whose two factors both depend on the input."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import linear

from nalu_export.primitives.conditioned import Conditioned, Flag
from nalu_export.primitives.operands import Pair, sign
from nalu_export.primitives.precision import SPLITS, Precision, own_rounding
from nalu_export.primitives.record import Primitive


def _linear_unit(value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Pair:
    del value
    magnitude = weight.magnitude
    size = linear(x.magnitude, magnitude)
    error = linear(x.error + x.magnitude, magnitude)
    if bias is not None:
        size, error = size + bias.magnitude, error + bias.magnitude
    return size, error


def _linear_radius(
    p: Precision, value: Tensor, x: Conditioned, weight: Conditioned, bias: Conditioned | None
) -> Tensor:
    """Return the radius of ``Σ w·x``: the errors of the factors, one rounding for each product, and the additions."""
    del value  # the rounding depends on the size of the terms, not on the size of their sum
    inputs, weights = x.reach, weight.reach
    # A TF32 adder may truncate, so its result is not the nearest number: then only the split without light terms holds.
    splits = _splits(weight)[0 if p.tf32 else 1]
    sums = splits.apart(linear(inputs, splits.light))
    size = sums[0]
    present = None if _everywhere(inputs) else (inputs > 0).double()
    counts = splits.numbers_like(sums) if present is None else splits.apart(linear(present, splits.heavy))
    radius = torch.add(p.product * size, counts[0], alpha=p.tiny)
    # Raw weights and the model's inputs are exact. A matrix product with zeros takes as long as any other: skip it.
    if weight.uncertain:
        radius = radius + linear(x.magnitude, weight.radius)
    if x.uncertain:
        radius = radius + linear(x.radius, weights)
    # A runtime may start the sum from the bias; then every addition is rounded at the size of the bias.
    whole, additions = size, counts - 1.0
    if bias is not None:
        whole, additions = size + bias.reach, counts - (bias.reach <= 0).double()
        radius = radius + bias.radius
    radius = radius + _additions(p, whole, additions, sums)
    radius = radius + own_rounding(p, weights.shape[-1] + 1.0, whole)
    # Second order: each rounding above acts on values that already have the other errors.
    radius = radius * (1.0 + p.addition * (weights.shape[-1] + 2))
    if not size.numel() or float(size.amax()) <= p.largest:
        return radius
    return torch.where(_chaotic(p, x, weight), torch.inf, radius)


def _chaotic(p: Precision, x: Conditioned, weight: Conditioned) -> Tensor:
    """Return where partial sums of both signs may overflow: then the order decides between a number, ±∞ and NaN."""
    plus, minus = x.value.clamp(min=0.0), (-x.value).clamp(min=0.0)
    up, down = weight.value.clamp(min=0.0), (-weight.value).clamp(min=0.0)
    positive, negative = linear(plus, up) + linear(minus, down), linear(plus, down) + linear(minus, up)
    return (torch.maximum(positive, negative) > p.largest / 2) & (torch.minimum(positive, negative) > 0)


class _Splits(NamedTuple):
    """The weights of one layer, split into heavy and light ones at some thresholds.

    One matrix product serves all splits. At the first threshold every weight is heavy.

    Attributes:
        shape: shape of one output.
        heavy: 1 for a heavy weight, else 0; the splits below each other.
        light: largest magnitude of every weight, then for each other split that of each light weight, 0 for a heavy
            one; below each other.
        numbers: how many heavy weights each output has, by split.
    """

    shape: torch.Size
    heavy: Tensor
    light: Tensor
    numbers: Tensor

    def apart(self, sums: Tensor) -> Tensor:
        """Return the sums of each split along a first axis."""
        lead, splits = sums.shape[:-1], len(self.numbers)
        return sums.reshape(*lead, splits, self.shape.numel()).movedim(-2, 0).reshape(splits, *lead, *self.shape)

    def numbers_like(self, sums: Tensor) -> Tensor:
        """Return ``numbers`` with the axes of sums that are apart."""
        lead = sums.ndim - 1 - len(self.shape)
        return self.numbers.reshape(len(self.numbers), *[1] * lead, *self.shape)


def _everywhere(magnitudes: Tensor) -> bool:
    return not magnitudes.numel() or float(magnitudes.amin()) > 0


def _splits(weight: Conditioned) -> tuple[_Splits, _Splits]:
    """Return the first split of :data:`SPLITS` alone, and all of them. Repeated splits are left out."""
    # Cached, because the same layer is read for each batch.
    found: tuple[_Splits, _Splits] | None = weight.memory.get(_splits)
    if found is not None:
        return found
    # Split by the weights, not by weight plus radius, so that a larger radius never makes the bound of the sum smaller.
    largest = weight.magnitude.amax(dim=-1, keepdim=True)
    heavy, light, numbers = list[Tensor](), [weight.reach], list[Tensor]()
    for split in SPLITS:
        own = (weight.magnitude >= split * largest) & (weight.reach > 0)
        number = own.sum(dim=-1).double()
        if not numbers or not torch.equal(number, numbers[-1]):
            heavy.append(own.double())
            numbers.append(number)
            if split:
                light.append(torch.where(own, 0.0, weight.reach))
    first, every = (
        _Splits(
            weight.value.shape[:-1],
            torch.stack(heavy[:count]).reshape(-1, weight.value.shape[-1]),
            torch.stack(light[:count]).reshape(-1, weight.value.shape[-1]),
            torch.stack(numbers[:count]),
        )
        for count in (1, len(numbers))
    )
    weight.memory[_splits] = first, every
    return first, every


def _additions(p: Precision, whole: Tensor, additions: Tensor, sums: Tensor) -> Tensor:
    """Return the largest error of the additions in any order: ``min over splits of u·(heavy − 1)·size + light``.

    The error of an addition is at most u times its result. It is also at most the smaller of the two terms, because the
    larger term is a number that the result could have been rounded to. So light terms add at most their own size.

    Args:
        p: the precision of the additions.
        whole: largest magnitude of a sum.
        additions: how many heavy terms are added to another one, by split.
        sums: by split, the sizes of the light terms; the entry of the first split, which has none, is not read.
    """
    best = p.addition * additions[0].clamp(min=0.0) * whole
    if len(sums) == 1:
        return best
    others = torch.addcmul(sums[1:], additions[1:].clamp(min=0.0), whole, value=p.addition)
    return torch.minimum(best, others.amin(dim=0))


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
    a, b = left.magnitude, right.magnitude
    return torch.matmul(a, b), torch.matmul(left.error + a, b) + torch.matmul(a, right.error)


def _matmul_radius(p: Precision, value: Tensor, left: Conditioned, right: Conditioned) -> Tensor:
    """Return the radius as for a linear map, with every term heavy."""
    del value
    a, b = left.reach, right.reach
    size = torch.matmul(a, b)
    count = torch.matmul((a > 0).double(), (b > 0).double())
    radius = (p.product + p.addition * (count - 1.0).clamp(min=0.0)) * size + p.tiny * count
    radius = radius + torch.matmul(left.magnitude, right.radius) + torch.matmul(left.radius, b)
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
