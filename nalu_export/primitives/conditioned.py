"""A value of the reference together with how far off an evaluation of it may be."""

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nalu_export.primitives.precision import Precision

ROUNDOFF = 2.0**-24
LARGEST = torch.finfo(torch.float32).max
LARGEST_DOUBLE = torch.finfo(torch.float64).max
# Whatever falls under the smallest normal float32 may be flushed to zero, so no D is smaller than that.
FLUSH = torch.finfo(torch.float32).tiny / ROUNDOFF

_TENSORS = ("value", "size", "error", "radius", "overflow", "lost", "zero")
Flag = Callable[["Conditioned"], Tensor]


@dataclass(frozen=True)
class Conditioned:
    """A value with its size, its ``D``, its radius and where a float32 evaluation may leave float32's range.

    Attributes:
        value: in float64; of a truth value 0 or 1.
        size: of the terms whose sum the value is; same shape.
        error: ``D``, in units of :data:`ROUNDOFF`; same shape.
        radius: largest distance of a correct evaluation from the value, in its unit; same shape.
        overflow: 1 where the value, or one that it depends on, is too large for float32, 2 where it is too large for
            float64, else 0; same shape.
        lost: whether nothing is known of an evaluation, or of one that this value depends on; same shape.
        zero: 1 where the value is exactly ``+0``, −1 where it is exactly ``−0``, 0 where it is no exact zero or its
            sign is not determined; same shape.
        least: no correct evaluation of any element is below it, whatever the radius.
        memory: what rules found out of this value and will ask again.
    """

    value: Tensor
    size: Tensor
    error: Tensor
    radius: Tensor
    overflow: Tensor
    lost: Tensor
    zero: Tensor
    least: float = -math.inf
    memory: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @staticmethod
    def exact(value: Tensor, radius: Tensor | None = None) -> "Conditioned":
        """A value that was not computed: an input, a constant; ``radius`` where it had to be rounded."""
        zero, none = torch.zeros_like(value), torch.zeros_like(value, dtype=torch.int8)
        radius = zero if radius is None else radius
        # One number, an ε perhaps, keeps what it is added to away from 0.
        least = float(value) - 1.001 * float(radius) if value.numel() == 1 else -math.inf
        return Conditioned(value, value.abs(), zero, radius, none, none, none, least)

    @property
    def read(self) -> Tensor:
        """``max(D, |v|)``: the error with which a function reads this value, one rounding at least."""
        return torch.maximum(self.error, self.magnitude)

    # Rules ask for these again and again, once for each reader of a value.

    @functools.cached_property
    def magnitude(self) -> Tensor:
        """``|v|``."""
        return self.value.abs()

    @functools.cached_property
    def reach(self) -> Tensor:
        """The largest magnitude that a correct evaluation may give."""
        return self.magnitude + self.radius

    @functools.cached_property
    def overflows(self) -> bool:
        """Whether an element has ``overflow``."""
        return bool(self.overflow.any())

    @functools.cached_property
    def loses(self) -> bool:
        """Whether an element is ``lost``."""
        return bool(self.lost.any())

    @property
    def lowest(self) -> Tensor:
        """The smallest value that a correct evaluation may give."""
        lowest = self.value - self.radius
        return lowest if self.least == -math.inf else lowest.clamp(min=self.least)


def settle(
    value: Tensor,
    size: Tensor,
    error: Tensor,
    radius: Tensor,
    arguments: Iterable[Any],
    *,
    spread: Callable[[Flag], Tensor] | None = None,
    zero: Tensor | None = None,
    least: float = -math.inf,
) -> Conditioned:
    """The result of one node: flush to zero and overflow are the same for every rule, so they live here.

    Args:
        value: of the result.
        size: of the result.
        error: of the result by its rule.
        radius: of the result by its rule.
        arguments: what the result was computed from; those that are not :class:`Conditioned` do not matter.
        spread: which elements of the result depend on a flagged element of the arguments, from the flag that it is to
            read; without it all elements of the same sample do.
        zero: signs of exact zeros, where they are known.
        least: see :class:`Conditioned`.
    """
    error = (error + FLUSH).nan_to_num_(nan=math.inf, posinf=math.inf)
    none = torch.zeros_like(value, dtype=torch.int8)
    overflow, lost = none, none
    if not _within(value.abs() + radius, LARGEST):
        radius = torch.nan_to_num(radius, nan=math.inf, posinf=math.inf)
        overflow, lost = _beyond(value.abs() + radius), torch.isinf(radius).to(torch.int8)
    given = [argument for argument in arguments if isinstance(argument, Conditioned)]
    spread = spread or (lambda flag: _over_samples(flag, value, given))
    if any(argument.overflows for argument in given):
        overflow = torch.maximum(overflow, spread(lambda argument: argument.overflow))
    if any(argument.loses for argument in given):
        lost = torch.maximum(lost, spread(lambda argument: argument.lost))
    result = Conditioned(value, size, error, radius, overflow, lost, none if zero is None else zero, least)
    if overflow is none and lost is none:
        vars(result).update(overflows=False, loses=False)
    return result


def of_entries(x: Conditioned, change: Callable[[Tensor], Tensor]) -> Conditioned:
    """``change``, which moves numbers, of everything that is known of them."""
    found = {name: change(getattr(x, name).expand(x.value.shape)) for name in _TENSORS}
    return Conditioned(**found, least=x.least)


def stacked(parts: Sequence[Conditioned]) -> Conditioned:
    """Values one after the other along a new first axis."""
    found = {name: torch.stack([getattr(x, name).expand(x.value.shape) for x in parts]) for name in _TENSORS}
    return Conditioned(**found, least=min(x.least for x in parts))


def rounded(x: Conditioned, precision: Precision, widening: float = 1.0) -> Conditioned:
    """``x`` with its radius ``widening`` times as large, and rounded once more.

    Args:
        x: any value.
        precision: that it is rounded to.
        widening: by how much the evaluation before is further off than its rules say.
    """
    radius = precision.rounded(x.value, widening * x.radius)
    overflow = torch.maximum(x.overflow, _beyond(x.value.abs() + radius))
    return replace(x, radius=radius, overflow=overflow, zero=x.zero * (radius == 0), least=precision.below(x.least))


def _beyond(magnitude: Tensor) -> Tensor:
    """1 where float32 cannot hold it, 2 where float64 cannot."""
    if _within(magnitude, LARGEST):
        return torch.zeros_like(magnitude, dtype=torch.int8)
    return (~(magnitude <= LARGEST)).to(torch.int8) + ~(magnitude <= LARGEST_DOUBLE)


def _within(magnitude: Tensor, largest: float) -> bool:
    """Whether none is larger, nor NaN."""
    return not magnitude.numel() or bool(magnitude.amax() <= largest)


def _over_samples(flag: Flag, like: Tensor, arguments: Iterable[Conditioned]) -> Tensor:
    found = torch.zeros_like(like, dtype=torch.int8)
    for argument in arguments:
        own = flag(argument)
        if bool(own.any()) and own.ndim and like.ndim and own.shape[0] == like.shape[0]:
            own = own.flatten(1).amax(dim=1) if own.ndim > 1 else own
            found = torch.maximum(found, own.reshape(-1, *[1] * (like.ndim - 1)))
        elif bool(own.any()):
            found = torch.maximum(found, own.max())
    return found
