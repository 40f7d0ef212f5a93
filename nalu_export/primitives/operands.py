"""Helpers of the rules: they turn the arguments of a primitive into :class:`Conditioned` values."""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned, Flag
from nalu_export.primitives.precision import Precision

Operand = Conditioned | float
Pair = tuple[Tensor, Tensor]
# E is an error in units of u·D. A correct float32 evaluation is expected to have E ≤ 5. D itself uses that figure where
# it goes beyond first order.
UNIT = 5.0 * ROUNDOFF


def known(precision: Precision, argument: Any) -> Any:
    """Return an argument as the rules expect it: a plain tensor (a user's ``torch.zeros``) becomes an exact value."""
    if isinstance(argument, (list, tuple)):
        return [known(precision, part) for part in argument]
    if not isinstance(argument, Tensor):
        return argument
    value = argument.detach().double()
    return Conditioned.exact(value, precision.representation(value))


def attribute(name: str, argument: Any) -> Any:
    """Return one attribute of a :class:`Conditioned` argument; return a number, a size or an axis unchanged."""
    if isinstance(argument, (list, tuple)):
        return [attribute(name, part) for part in argument]
    return getattr(argument, name) if isinstance(argument, Conditioned) else argument


def exact(x: Operand) -> Conditioned:
    """Return ``x`` as a value for the unit of error D, where a number counts as exact."""
    return x if isinstance(x, Conditioned) else _written(None, float(x), math.copysign(1.0, x))


def ball(p: Precision, x: Operand) -> Conditioned:
    """Return ``x`` as a value for the radius, where a number of the formula is rounded to the computing type."""
    return x if isinstance(x, Conditioned) else _written(p, float(x), math.copysign(1.0, x))


@functools.lru_cache(maxsize=256)
def _written(p: Precision | None, x: float, sign_: float) -> Conditioned:
    """Return a number of the formula as a value; cached with its sign, so that 0 and −0 are two entries."""
    del sign_
    value = torch.tensor(x, dtype=torch.float64)
    return Conditioned.exact(value, None if p is None else p.representation(value))


def sign(x: Operand) -> Tensor:
    """Return ``±1`` where the sign of a value, or of a zero, is certain, else 0."""
    if not isinstance(x, Conditioned):
        return torch.tensor(float(x)).sign()
    return torch.where(x.value.abs() > x.radius, x.value.sign(), x.zero.double())


def signs_of_zeros(x: Tensor) -> Tensor:
    """Return ``±1`` for the zeros among exact numbers, 0 for the other numbers."""
    return torch.where(x == 0, torch.where(torch.signbit(x), -1, 1), 0).to(torch.int8)


def least_of(p: Precision, x: Operand) -> float:
    """Return a lower bound of every correct evaluation."""
    return x.least if isinstance(x, Conditioned) else p.below(float(x))


def zero_at_least(p: Precision, *arguments: Any) -> float:
    """Return the lower bound 0, for a function that is never negative."""
    del p, arguments
    return 0.0


def zero_if_positive(p: Precision, *operands: Operand) -> float:
    """Return the lower bound 0 if no operand can be negative, else −∞."""
    return 0.0 if all(least_of(p, x) >= 0.0 for x in operands) else -math.inf


def change(function: Callable[[Tensor], Tensor], value: Tensor, x: Conditioned, step: Tensor) -> Tensor:
    """Return the largest change of a monotone ``function`` for an argument error of ``E·u·step``, divided by ``E·u``.

    E has its largest allowed value, 5. To first order the result is ``|f′|·step``. It also holds where first order does
    not: a gate argument of 1e7 is known only to about 1, and an exponent that is off by 3 is a factor of 20, not of 3.
    """
    moved = UNIT * step
    up, down = function(x.value + moved) - value, value - function(x.value - moved)
    return torch.maximum(up, down, out=up).abs_().div_(UNIT)


def same_element(flag: Flag, value: Tensor, *arguments: Any) -> Tensor:
    """Return the flag of each element of an elementwise result: the largest flag among the arguments' elements."""
    found = torch.zeros_like(value, dtype=torch.int8)
    for x in arguments:
        if isinstance(x, Conditioned):
            found = torch.maximum(found, flag(x))
    return found
