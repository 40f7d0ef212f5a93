"""What the rules of the primitives read their arguments as."""

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Precision

Operand = Conditioned | float
Pair = tuple[Tensor, Tensor]


def exact(x: Operand) -> Conditioned:
    """A value; a number is exact, as the unit of error takes it."""
    return x if isinstance(x, Conditioned) else Conditioned.exact(torch.tensor(float(x), dtype=torch.float64))


def ball(p: Precision, x: Operand) -> Conditioned:
    """A value; a number written into the formula is rounded to the type that computes."""
    if isinstance(x, Conditioned):
        return x
    value = torch.tensor(float(x), dtype=torch.float64)
    return Conditioned.exact(value, p.representation(value))


def sign(x: Operand) -> Tensor:
    """``±1`` where the sign of a value is sure, zeros included, else 0."""
    if not isinstance(x, Conditioned):
        return torch.tensor(float(x)).sign()
    return torch.where(x.value.abs() > x.radius, x.value.sign(), x.zero.double())


def signs_of_zeros(x: Tensor) -> Tensor:
    """``±1`` for the zeros among exact numbers, 0 for what is not zero."""
    return torch.where(x == 0, torch.where(torch.signbit(x), -1, 1), 0).to(torch.int8)
