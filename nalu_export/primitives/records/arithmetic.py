"""Sums, products, quotients, negation and absolute value."""

import math
import operator

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.operands import Operand, Pair, ball, exact, least_of, sign, zero_at_least, zero_if_positive
from nalu_export.primitives.precision import QUOTIENT, Precision
from nalu_export.primitives.record import Primitive


def sum_unit(value: Tensor, left: Operand, right: Operand) -> Pair:
    """Return size and D of ``p ± q``."""
    p, q = exact(left), exact(right)
    error = p.error + q.error
    if isinstance(left, Conditioned) and isinstance(right, Conditioned):
        error = torch.maximum(error, p.magnitude + q.magnitude)
    # A literal (ε, the 1 of 1 − W) is exact. The rounding of the sum is counted by the operation that reads the sum.
    return value.abs(), error.expand(value.shape)


def sum_radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
    """Return the radius of ``p ± q``."""
    a, b = ball(p, left), ball(p, right)
    radius = p.rounded(value, a.radius + b.radius)
    # ∞ − ∞ is NaN.
    both = torch.minimum(a.reach, b.reach) > p.largest
    if not bool(both.any()):
        return radius
    return torch.where(both & (value.abs() <= p.largest), torch.inf, radius)


def _add_zero(left: Operand, right: Operand) -> Tensor:
    p, q = sign(left), sign(right)
    # Two exact numbers that cancel sum to +0. So do two zeros if one of them is +0.
    return torch.where((p < 0) & (q < 0), -1.0, torch.where((p > 0) | (q > 0), 1.0, 0.0))


def _mul_unit(value: Tensor, left: Operand, right: Operand) -> Pair:
    p, q = exact(left), exact(right)
    return value.abs(), torch.maximum(torch.addcmul(q.size * p.error, p.size, q.error), p.size * q.size)


def _mul_radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
    a, b = ball(p, left), ball(p, right)
    return p.rounded(value, torch.addcmul(a.magnitude * b.radius, a.radius, b.reach))


def _div_unit(value: Tensor, left: Operand, right: Operand) -> Pair:
    p, q = exact(left), exact(right)
    error = (p.error + value.abs() * q.error) / q.magnitude
    return value.abs(), torch.maximum(error, p.size / q.magnitude)


def _div_radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
    a, b = ball(p, left), ball(p, right)
    smallest = b.magnitude - b.radius
    if b.least > 0.0:
        smallest = smallest.clamp(min=b.least)
    radius = torch.where(smallest > 0, (a.radius + value.abs() * b.radius) / smallest, torch.inf)
    # A runtime may multiply by the reciprocal, and the reciprocal of so large a divisor may be flushed to zero.
    flushed = b.reach > 1.0 / p.tiny
    if bool(flushed.any()):
        radius = radius + torch.where(flushed, value.abs(), 0.0)
    return p.rounded(value, radius, QUOTIENT)


def unchanged_unit(value: Tensor, x: Conditioned) -> Pair:
    """Return size and D of the argument, for a function that changes only the sign."""
    del value
    return x.size, x.error


def unchanged_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    """Return the radius of the argument, for a function that changes only the sign."""
    del p, value
    return x.radius


def _add_least(p: Precision, left: Operand, right: Operand) -> float:
    """Return a lower bound of the rounded sum: the sum of the lower bounds, less the rounding."""
    return p.below(least_of(p, left) + least_of(p, right))


def _mul_least(p: Precision, left: Operand, right: Operand) -> float:
    if left is right:
        return 0.0
    a, b = least_of(p, left), least_of(p, right)
    return p.below(a * b) if min(a, b) >= 0.0 else -math.inf


UNARY = ("input",)
BINARY = ("input", "other")

PRIMITIVES = (
    # The operators, because torch.add, torch.sub and so on refuse a number as their first argument (`1 - W`).
    Primitive(
        "add",
        operator.add,
        BINARY,
        names=("add",),
        unit=sum_unit,
        radius=sum_radius,
        zero=_add_zero,
        least=_add_least,
        neutral={"alpha": 1},
    ),
    Primitive(
        "sub",
        operator.sub,
        BINARY,
        names=("sub", "subtract"),
        unit=sum_unit,
        radius=sum_radius,
        neutral={"alpha": 1},
    ),
    Primitive(
        "mul",
        operator.mul,
        BINARY,
        names=("mul", "multiply"),
        unit=_mul_unit,
        radius=_mul_radius,
        zero=lambda left, right: sign(left) * sign(right),
        least=_mul_least,
    ),
    Primitive(
        "div",
        operator.truediv,
        BINARY,
        names=("div", "divide", "truediv", "true_divide"),
        unit=_div_unit,
        radius=_div_radius,
        least=zero_if_positive,
        neutral={"rounding_mode": None},
    ),
    Primitive(
        "neg",
        torch.neg,
        UNARY,
        names=("neg", "negative"),
        unit=unchanged_unit,
        radius=unchanged_radius,
        zero=lambda x: -sign(x),
    ),
    Primitive(
        "abs",
        torch.abs,
        UNARY,
        names=("abs", "absolute"),
        unit=unchanged_unit,
        radius=unchanged_radius,
        zero=lambda x: torch.ones_like(x.value),
        least=zero_at_least,
    ),
)
