"""What the rules of the primitives read their arguments as."""

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
# The E that is expected of a correct float32 evaluation is 5; beyond first order D has to know it.
UNIT = 5.0 * ROUNDOFF


def known(precision: Precision, argument: Any) -> Any:
    """An argument as rules read it: a plain tensor, such as a user's ``torch.zeros``, becomes an exact value."""
    if isinstance(argument, (list, tuple)):
        return [known(precision, part) for part in argument]
    if not isinstance(argument, Tensor):
        return argument
    value = argument.detach().double()
    return Conditioned.exact(value, precision.representation(value))


def attribute(name: str, argument: Any) -> Any:
    """One attribute of an argument, where it is a value; a number, a size or an axis is what it is."""
    if isinstance(argument, (list, tuple)):
        return [attribute(name, part) for part in argument]
    return getattr(argument, name) if isinstance(argument, Conditioned) else argument


def exact(x: Operand) -> Conditioned:
    """A value; a number is exact, as the unit of error takes it."""
    return x if isinstance(x, Conditioned) else _written(None, float(x), math.copysign(1.0, x))


def ball(p: Precision, x: Operand) -> Conditioned:
    """A value; a number written into the formula is rounded to the type that computes."""
    return x if isinstance(x, Conditioned) else _written(p, float(x), math.copysign(1.0, x))


@functools.lru_cache(maxsize=256)
def _written(p: Precision | None, x: float, sign_: float) -> Conditioned:
    """A number of the formula; the same few come again and again, and 0 and −0 are two of them."""
    del sign_
    value = torch.tensor(x, dtype=torch.float64)
    return Conditioned.exact(value, None if p is None else p.representation(value))


def sign(x: Operand) -> Tensor:
    """``±1`` where the sign of a value is sure, zeros included, else 0."""
    if not isinstance(x, Conditioned):
        return torch.tensor(float(x)).sign()
    return torch.where(x.value.abs() > x.radius, x.value.sign(), x.zero.double())


def signs_of_zeros(x: Tensor) -> Tensor:
    """``±1`` for the zeros among exact numbers, 0 for what is not zero."""
    return torch.where(x == 0, torch.where(torch.signbit(x), -1, 1), 0).to(torch.int8)


def least_of(p: Precision, x: Operand) -> float:
    """A number that no correct evaluation is below."""
    return x.least if isinstance(x, Conditioned) else p.below(float(x))


def zero_at_least(p: Precision, *arguments: Any) -> float:
    """Of a function that has no negative value."""
    del p, arguments
    return 0.0


def zero_if_positive(p: Precision, *operands: Operand) -> float:
    """Of what is not negative where its operands are not."""
    return 0.0 if all(least_of(p, x) >= 0.0 for x in operands) else -math.inf


def change(function: Callable[[Tensor], Tensor], value: Tensor, x: Conditioned, step: Tensor) -> Tensor:
    """How far a monotone ``function`` moves when its argument is off by the largest allowed ``E·u·step``, over ``E·u``.

    It is ``|f′|·step`` to first order, and stays true where first order does not hold: 1e7 times a gate weight is
    known to about 1 only, and an exponent that is off by 3 is a factor of 20, not of 3.
    """
    moved = UNIT * step
    up, down = function(x.value + moved) - value, value - function(x.value - moved)
    return torch.maximum(up, down, out=up).abs_().div_(UNIT)


def same_element(flag: Flag, value: Tensor, *arguments: Any) -> Tensor:
    """The flags of what an element of an elementwise result depends on."""
    found = torch.zeros_like(value, dtype=torch.int8)
    for x in arguments:
        if isinstance(x, Conditioned):
            found = torch.maximum(found, flag(x))
    return found
