"""A value of the reference together with how far off an evaluation of it may be."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nalu_export.primitives.precision import Precision

ROUNDOFF = 2.0**-24
LARGEST = torch.finfo(torch.float32).max
LARGEST_DOUBLE = torch.finfo(torch.float64).max
# Whatever falls under the smallest normal float32 may be flushed to zero, so no D is smaller than that.
FLUSH = torch.finfo(torch.float32).tiny / ROUNDOFF


@dataclass(frozen=True)
class Conditioned:
    """A value with its size, its ``D``, its radius and where a float32 evaluation may leave float32's range.

    Attributes:
        value: in float64.
        size: of the terms whose sum the value is; same shape.
        error: ``D``, in units of :data:`ROUNDOFF`; same shape.
        radius: largest distance of a correct evaluation from the value, in its unit; same shape.
        overflow: 1 where the value, or one that it depends on, is too large for float32, 2 where it is too large for
            float64, else 0; same shape.
        lost: whether nothing is known of an evaluation, or of one that this value depends on; same shape.
        zero: 1 where the value is exactly ``+0``, −1 where it is exactly ``−0``, 0 where it is no exact zero or its
            sign is not determined; same shape.
    """

    value: Tensor
    size: Tensor
    error: Tensor
    radius: Tensor
    overflow: Tensor
    lost: Tensor
    zero: Tensor

    @staticmethod
    def exact(value: Tensor, radius: Tensor | None = None) -> "Conditioned":
        """A value that was not computed: an input, a constant; ``radius`` where it had to be rounded."""
        zero, none = torch.zeros_like(value), torch.zeros_like(value, dtype=torch.int8)
        return Conditioned(value, value.abs(), zero, zero if radius is None else radius, none, none, none)

    @property
    def read(self) -> Tensor:
        """``max(D, |v|)``: the error with which a function reads this value, one rounding at least."""
        return torch.maximum(self.error, self.value.abs())


def settle(
    value: Tensor,
    size: Tensor,
    error: Tensor,
    radius: Tensor,
    arguments: Iterable[Any],
    *,
    elementwise: bool,
    zero: Tensor | None = None,
) -> Conditioned:
    """The result of one node: flush to zero and overflow are the same for every rule, so they live here.

    Args:
        value: of the result.
        size: of the result.
        error: of the result by its rule.
        radius: of the result by its rule.
        arguments: what the result was computed from; those that are not :class:`Conditioned` do not matter.
        elementwise: whether each element depends on the same element of the arguments only.
        zero: signs of exact zeros, where they are known.
    """
    error = torch.where(torch.isnan(error), math.inf, error) + FLUSH
    radius = torch.where(torch.isnan(radius), math.inf, radius)
    overflow = _beyond(value.abs() + radius)
    lost = torch.isinf(radius).to(torch.int8)
    for argument in arguments:
        if isinstance(argument, Conditioned) and bool(argument.overflow.any()):
            overflow = torch.maximum(overflow, _spread(argument.overflow, value, elementwise=elementwise))
        if isinstance(argument, Conditioned) and bool(argument.lost.any()):
            lost = torch.maximum(lost, _spread(argument.lost, value, elementwise=elementwise))
    zero = torch.zeros_like(overflow) if zero is None else zero
    return Conditioned(value, size, error, radius, overflow, lost, zero)


def rounded(x: Conditioned, precision: Precision, widening: float = 1.0) -> Conditioned:
    """``x`` with its radius ``widening`` times as large, and rounded once more.

    Args:
        x: any value.
        precision: that it is rounded to.
        widening: by how much the evaluation before is further off than its rules say.
    """
    radius = precision.rounded(x.value, widening * x.radius)
    overflow = torch.maximum(x.overflow, _beyond(x.value.abs() + radius))
    return replace(x, radius=radius, overflow=overflow, zero=x.zero * (radius == 0))


def _beyond(magnitude: Tensor) -> Tensor:
    """1 where float32 cannot hold it, 2 where float64 cannot."""
    return (~(magnitude <= LARGEST)).to(torch.int8) + ~(magnitude <= LARGEST_DOUBLE)


def _spread(overflow: Tensor, like: Tensor, *, elementwise: bool) -> Tensor:
    """``overflow`` in the shape of ``like``: element by element, or over the whole sample where elements mix."""
    if elementwise and overflow.shape == like.shape:
        return overflow
    samples = overflow.reshape(overflow.shape[0], -1).amax(dim=1)
    return samples.reshape(-1, *[1] * (like.ndim - 1)).expand(like.shape)
