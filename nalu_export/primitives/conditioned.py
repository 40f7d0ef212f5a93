"""A reference value together with its error bound: how far a correct evaluation may be from it."""

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
# A number below the smallest normal float32 may be flushed to zero, so no D is smaller than that number.
FLUSH = torch.finfo(torch.float32).tiny / ROUNDOFF

_NO_FLAG = torch.zeros((), dtype=torch.int8)
_TENSORS = ("value", "size", "error", "radius", "overflow", "lost", "zero")
Flag = Callable[["Conditioned"], Tensor]


@dataclass(frozen=True)
class Conditioned:
    """A value with two error measures, the radius and ``D``, and flags for overflow and unknown results.

    The radius is the error bound of ball arithmetic, which the verdict uses. ``D`` is the unit of the metric E. See
    docs/parity.md. All tensors have the shape of the value.

    Attributes:
        value: in float64; a truth value is 0 or 1.
        size: for a sum of products the sum of the magnitudes of its terms, for most other values ``|value|``.
        error: ``D``, in units of :data:`ROUNDOFF`.
        radius: largest distance between the value and a correct evaluation of it.
        overflow: 1 where the value, or a value that it depends on, is too large for float32; 2 where it is too large
            for float64; else 0.
        lost: 1 where nothing is known about an evaluation of the value, or of a value that it depends on; else 0.
        zero: 1 where the value is exactly ``+0``, −1 where it is exactly ``−0``, 0 where it is not an exact zero or the
            sign is unknown.
        least: lower bound of every correct evaluation of every element, independent of the radius.
        memory: cache for the rules that read this value.
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
        """Return a value that was not computed: an input or a constant. ``radius`` is its rounding error, if any."""
        zero, none = torch.zeros_like(value), torch.zeros_like(value, dtype=torch.int8)
        radius = zero if radius is None else radius
        # A single number may be an ε, which keeps the sum that it is added to away from 0.
        least = float(value) - 1.001 * float(radius) if value.numel() == 1 else -math.inf
        return Conditioned(value, value.abs(), zero, radius, none, none, none, least)

    @property
    def read(self) -> Tensor:
        """``max(D, |v|)``: the error with which a function reads this value, at least one rounding."""
        return torch.maximum(self.error, self.magnitude)

    # Cached, because every reader of a value asks for these.

    @functools.cached_property
    def magnitude(self) -> Tensor:
        """``|v|``."""
        return self.value.abs()

    @functools.cached_property
    def reach(self) -> Tensor:
        """Largest magnitude of a correct evaluation."""
        return self.magnitude + self.radius

    @functools.cached_property
    def uncertain(self) -> bool:
        """Whether any element has a radius other than 0; NaN counts as one."""
        return bool(self.radius.numel()) and not float(self.radius.amax()) <= 0.0

    @functools.cached_property
    def overflows(self) -> bool:
        """Whether ``overflow`` is set for any element."""
        return bool(self.overflow.any())

    @functools.cached_property
    def loses(self) -> bool:
        """Whether ``lost`` is set for any element."""
        return bool(self.lost.any())

    @property
    def below(self) -> Tensor:
        """Distance to the smallest value of a correct evaluation; without a lower bound ``radius``, the same object."""
        return self.radius if self.least == -math.inf else torch.minimum(self.radius, self.value - self.least)

    @property
    def lowest(self) -> Tensor:
        """Smallest value of a correct evaluation."""
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
    """Build the result of one node; add what is the same for every rule: flush to zero, overflow and unknown results.

    Args:
        value: value of the result.
        size: size of the result, see :class:`Conditioned`.
        error: D of the result, as its rule returned it.
        radius: radius of the result, as its rule returned it.
        arguments: the arguments of the node; only :class:`Conditioned` ones are read.
        spread: given a function that reads a flag of an argument, returns the flag of each element of the result. By
            default a flagged element flags every element of the same sample.
        zero: signs of exact zeros, where they are known.
        least: see :class:`Conditioned`.
    """
    error = (error + FLUSH).nan_to_num_(nan=math.inf, posinf=math.inf)
    none = no_flags(value)
    overflow, lost = none, none
    magnitude = value.abs()
    reach = magnitude + radius
    if not _within(reach, LARGEST):
        radius = torch.nan_to_num(radius, nan=math.inf, posinf=math.inf)
        reach = magnitude + radius
        overflow, lost = _beyond(reach), torch.isinf(radius).to(torch.int8)
    given = [argument for argument in arguments if isinstance(argument, Conditioned)]
    spread = spread or (lambda flag: _over_samples(flag, value, given))
    if any(argument.overflows for argument in given):
        overflow = torch.maximum(overflow, spread(lambda argument: argument.overflow))
    if any(argument.loses for argument in given):
        lost = torch.maximum(lost, spread(lambda argument: argument.lost))
    result = Conditioned(value, size, error, radius, overflow, lost, none if zero is None else zero, least)
    # Whatever reads this value asks for them.
    vars(result).update(magnitude=magnitude, reach=reach)
    if overflow is none and lost is none:
        vars(result).update(overflows=False, loses=False)
    return result


def of_entries(x: Conditioned, change: Callable[[Tensor], Tensor]) -> Conditioned:
    """Apply ``change``, which only moves numbers, to every tensor of ``x``."""
    found = {name: change(getattr(x, name).expand(x.value.shape)) for name in _TENSORS}
    return Conditioned(**found, least=x.least)


def stacked(parts: Sequence[Conditioned]) -> Conditioned:
    """Stack values along a new first axis."""
    found = {name: torch.stack([getattr(x, name).expand(x.value.shape) for x in parts]) for name in _TENSORS}
    return Conditioned(**found, least=min(x.least for x in parts))


def rounded(x: Conditioned, precision: Precision, widening: float = 1.0) -> Conditioned:
    """Return ``x`` with its radius multiplied by ``widening`` and increased by one rounding.

    Args:
        x: any value.
        precision: the precision that it is rounded to.
        widening: factor by which the error so far may exceed the radius.
    """
    radius = precision.rounded(x.value, widening * x.radius)
    overflow = torch.maximum(x.overflow, _beyond(x.value.abs() + radius))
    return replace(x, radius=radius, overflow=overflow, zero=x.zero * (radius == 0), least=precision.below(x.least))


def no_flags(value: Tensor) -> Tensor:
    """Return a 0 for each element of a value; it must not be written to, because all elements are the same memory."""
    return _NO_FLAG.expand(value.shape)


def _beyond(magnitude: Tensor) -> Tensor:
    """Return 1 where float32 cannot hold a magnitude, 2 where float64 cannot, else 0."""
    if _within(magnitude, LARGEST):
        return torch.zeros_like(magnitude, dtype=torch.int8)
    return (~(magnitude <= LARGEST)).to(torch.int8) + ~(magnitude <= LARGEST_DOUBLE)


def _within(magnitude: Tensor, largest: float) -> bool:
    """Return whether no element is larger than ``largest`` or NaN."""
    return not magnitude.numel() or float(magnitude.amax()) <= largest


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
