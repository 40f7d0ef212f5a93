"""A value of the reference together with how far off a float32 evaluation of it may be."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

ROUNDOFF = 2.0**-24
# The largest E of a correct float32 evaluation; beyond first order the analysis has to know it.
LARGEST_E = 5.0
LARGEST = torch.finfo(torch.float32).max
LARGEST_DOUBLE = torch.finfo(torch.float64).max
# A value this many u·D below the largest float32 may round to infinity.
MARGIN = 16.0
# Whatever falls under the smallest normal float32 may be flushed to zero, so no error is smaller than that.
FLUSH = torch.finfo(torch.float32).tiny / ROUNDOFF


@dataclass(frozen=True)
class Conditioned:
    """A value with its size, its ``D`` and where a float32 evaluation may leave float32's range.

    Attributes:
        value: in float64.
        size: of the terms whose sum the value is; same shape.
        error: ``D``, in units of :data:`ROUNDOFF`; same shape.
        overflow: 1 where the value, or one that it depends on, is too large for float32, 2 where it is too large for
            float64, else 0; same shape.
    """

    value: Tensor
    size: Tensor
    error: Tensor
    overflow: Tensor

    @staticmethod
    def exact(value: Tensor) -> "Conditioned":
        """A value that float32 holds as it is."""
        return Conditioned(value, value.abs(), torch.zeros_like(value), torch.zeros_like(value, dtype=torch.int8))

    @property
    def read(self) -> Tensor:
        """``max(D, |v|)``: the error with which a function reads this value, one rounding at least."""
        return torch.maximum(self.error, self.value.abs())


def settle(value: Tensor, size: Tensor, error: Tensor, arguments: Iterable[Any], *, elementwise: bool) -> Conditioned:
    """The result of one node: flush to zero and overflow are the same for every rule, so they live here.

    Args:
        value: of the result.
        size: of the result.
        error: of the result by its rule.
        arguments: what the result was computed from; those that are not :class:`Conditioned` do not matter.
        elementwise: whether each element depends on the same element of the arguments only.
    """
    error = torch.where(torch.isnan(error), math.inf, error) + FLUSH
    magnitude = value.abs()
    beyond_single = ~(magnitude + MARGIN * ROUNDOFF * error <= LARGEST)
    overflow = beyond_single.to(torch.int8) + ~(magnitude <= LARGEST_DOUBLE)
    for argument in arguments:
        if isinstance(argument, Conditioned) and bool(argument.overflow.any()):
            overflow = torch.maximum(overflow, _spread(argument.overflow, value, elementwise=elementwise))
    return Conditioned(value, size, error, overflow)


def _spread(overflow: Tensor, like: Tensor, *, elementwise: bool) -> Tensor:
    """``overflow`` in the shape of ``like``: element by element, or over the whole sample where elements mix."""
    if elementwise and overflow.shape == like.shape:
        return overflow
    samples = overflow.reshape(overflow.shape[0], -1).amax(dim=1)
    return samples.reshape(-1, *[1] * (like.ndim - 1)).expand(like.shape)
