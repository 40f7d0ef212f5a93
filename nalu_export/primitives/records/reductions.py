"""Reductions along axes, in any order: sum, mean, largest, smallest, product."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned, Flag
from nalu_export.primitives.operands import Pair, sign, zero_if_positive
from nalu_export.primitives.precision import OWN_ROUNDING, SPLITS, Precision, own_rounding
from nalu_export.primitives.record import Primitive

Axes = int | Sequence[int] | None


def _axes(dim: Axes, x: Conditioned) -> list[int]:
    if isinstance(dim, int):
        return [dim]
    return list(dim) if dim else list(range(x.value.ndim))


def _over_axes(flag: Flag, value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Tensor:
    """Return the flag of each result: the largest flag of the elements that are reduced to it."""
    del value
    return flag(x).amax(dim=_axes(dim, x), keepdim=keepdim)


def _least_element(p: Precision, x: Conditioned, *rest: object) -> float:
    del p, rest
    return x.least


def _zero_or_less(p: Precision, x: Conditioned, *rest: object) -> float:
    del rest
    return zero_if_positive(p, x)


# Sums ---------------------------------------------------------------------------------------------------------------


def _sum_unit(value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Pair:
    """Return size and D as for a linear map, which reads each input with one rounding."""
    del value
    axes = _axes(dim, x)
    return x.magnitude.sum(axes, keepdim), (x.error + x.magnitude).sum(axes, keepdim)


def _sum_radius(p: Precision, value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Tensor:
    """Return the errors of the terms plus those of the additions: see ``products.py``."""
    del value
    axes = _axes(dim, x)
    magnitude, values = x.reach, x.magnitude
    size, largest = magnitude.sum(axes, keepdim), values.amax(axes, True)
    additions = torch.full_like(size, torch.inf)
    for split in SPLITS:
        heavy = (values >= split * largest) & (magnitude > 0)
        light = torch.where(heavy, 0.0, magnitude).sum(axes, keepdim)
        count = heavy.sum(axes, keepdim).double()
        additions = torch.minimum(additions, p.roundoff * (count - 1.0).clamp(min=0.0) * size + light)
    terms = (magnitude > 0).sum(axes, keepdim).double()
    radius = (x.radius.sum(axes, keepdim) + additions + p.tiny * terms) * (1.0 + p.roundoff * (terms + 2.0))
    radius = radius + own_rounding(p, terms, size)
    # Where partial sums of both signs may overflow, the order decides between a number, ±∞ and NaN.
    up, down = (part.clamp(min=0.0).sum(axes, keepdim) for part in (x.value, -x.value))
    chaotic = (size > p.largest) & (torch.maximum(up, down) > p.largest / 2) & (torch.minimum(up, down) > 0)
    return torch.where(chaotic, torch.inf, radius)


def _sum_zero(x: Conditioned, dim: Axes, keepdim: bool) -> Tensor:
    return (sign(x) > 0).double().amax(_axes(dim, x), keepdim)


def _mean_unit(value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Pair:
    size, error = _sum_unit(value, x, dim, keepdim)
    count = _terms(value, x)
    return size / count, error / count


def _mean_radius(p: Precision, value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Tensor:
    count, axes = _terms(value, x), _axes(dim, x)
    size = x.reach.sum(axes, keepdim)
    # A runtime may divide at the end or term by term, by the count or by its reciprocal: two roundings at most.
    radius = (_sum_radius(p, value, x, dim, keepdim) + 2.0 * p.roundoff * size) / count + p.tiny * (size > 0)
    # The sum may be infinite where the mean is not.
    return torch.where(size > p.largest, torch.inf, radius)


def _terms(value: Tensor, x: Conditioned) -> float:
    return x.value.numel() / max(value.numel(), 1)


# The largest and the smallest ---------------------------------------------------------------------------------------


def _extreme(name: str, function: Callable[..., Tensor], up: float) -> Primitive:
    """Return the record of ``amax`` or ``amin``; its error is the largest among elements that may be the result."""

    def unit(value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Pair:
        axes = _axes(dim, x)
        behind = (up * x.value).amax(axes, True) - up * x.value
        return value.abs(), (x.error - behind / ROUNDOFF).clamp(min=0.0).amax(axes, keepdim)

    def radius(p: Precision, value: Tensor, x: Conditioned, dim: Axes, keepdim: bool) -> Tensor:
        del p, value
        axes = _axes(dim, x)
        surely = (up * x.value - x.radius).amax(axes, True)
        surely = surely - OWN_ROUNDING * surely.abs()
        return torch.where(up * x.value + x.radius < surely, 0.0, x.radius).amax(axes, keepdim)

    return Primitive(
        name,
        function,
        ("input", "dim", "keepdim"),
        {"dim": (), "keepdim": False},
        names=(name,),
        unit=unit,
        radius=radius,
        kind="reduction",
        spread=_over_axes,
        least=_least_element,
    )


# Products -----------------------------------------------------------------------------------------------------------


def _prod_unit(value: Tensor, x: Conditioned, dim: int, keepdim: bool) -> Pair:
    size = x.size.movedim(dim, -1)
    one = torch.ones_like(size[..., :1])
    before = torch.cumprod(torch.cat([one, size[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([one, size.flip(-1)[..., :-1]], -1), -1).flip(-1)
    error = (before * after * x.error.movedim(dim, -1)).sum(-1) + size.prod(-1) * size.shape[-1]
    return value.abs(), error.unsqueeze(dim) if keepdim else error


def _prod_radius(p: Precision, value: Tensor, x: Conditioned, dim: int, keepdim: bool) -> Tensor:
    """Return ``Π (|x| + r) − Π |x|``, plus one rounding for each product, plus the loss by an underflow."""
    values, radii = x.magnitude.movedim(dim, -1), x.radius.movedim(dim, -1)
    most = values + radii
    one = torch.ones_like(values[..., :1])
    before = torch.cumprod(torch.cat([one, values[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([one, most.flip(-1)[..., :-1]], -1), -1).flip(-1)
    moved = torch.where(radii > 0, before * radii * after, 0.0).sum(-1)
    # A product with exactly 1 is exact.
    factors = ((values != 1) | (radii > 0)).sum(-1).double()
    roundings = (factors - 1.0).clamp(min=0.0)
    whole = most.prod(-1)
    radius = moved + whole * torch.expm1(1.001 * p.roundoff * roundings)
    # In another order, a product of some of the factors may underflow or overflow.
    largest, smallest = most.clamp(min=1.0).prod(-1), (values - radii).clamp(max=1.0).prod(-1)
    radius = radius + torch.where((whole > 0) & ~(smallest >= p.tiny), p.tiny * factors * largest, 0.0)
    radius = torch.where((largest > p.largest) & (whole <= p.largest), torch.inf, radius)
    return radius.reshape(value.shape) if keepdim else radius


def _sums(
    name: str, function: Callable[..., Tensor], unit: Callable[..., Pair], radius: Callable[..., Tensor]
) -> Primitive:
    return Primitive(
        name,
        function,
        ("input", "dim", "keepdim"),
        {"dim": None, "keepdim": False},
        names=(name,),
        unit=unit,
        radius=radius,
        zero=_sum_zero,
        kind="reduction",
        spread=_over_axes,
        least=_zero_or_less,
    )


PRIMITIVES = (
    _sums("sum", torch.sum, _sum_unit, _sum_radius),
    _sums("mean", torch.mean, _mean_unit, _mean_radius),
    _extreme("amax", torch.amax, 1.0),
    _extreme("amin", torch.amin, -1.0),
    Primitive(
        "prod",
        torch.prod,
        ("input", "dim", "keepdim"),
        {"keepdim": False},
        names=("prod",),
        unit=_prod_unit,
        radius=_prod_radius,
        kind="reduction",
        spread=_over_axes,
        least=_zero_or_less,
        delicate=True,
    ),
)
