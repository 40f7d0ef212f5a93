"""Comparisons, logical operations on truth values, and ``where``.

A truth value is 0 or 1 in float64. Its radius is 0 where it is known and 1 where it is not.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned, Flag
from nalu_export.primitives.operands import Operand, Pair, ball, exact, least_of, sign, zero_at_least
from nalu_export.primitives.precision import Precision
from nalu_export.primitives.record import Primitive


def _comparison(name: str, function: Callable[[Any, Any], Any], *names: str) -> Primitive:
    def unit(value: Tensor, left: Operand, right: Operand) -> Pair:
        a, b = exact(left), exact(right)
        open_ = (a.error + b.error > 0) & ((a.value - b.value).abs() <= ROUNDOFF * (a.error + b.error))
        return value, torch.where(open_, 1.0 / ROUNDOFF, 0.0).double() + torch.zeros_like(value)

    def radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
        a, b = ball(p, left), ball(p, right)
        reach = a.radius + b.radius
        # Ask whether the values are apart, not whether they overlap: then a NaN counts as undecided.
        decided = (reach == 0) | ((a.value - b.value).abs() > reach)
        return torch.where(decided, 0.0, 1.0).double() + torch.zeros_like(value)

    return Primitive(
        name, function, ("input", "other"), names=(name, *names), unit=unit, radius=radius, least=zero_at_least
    )


def _truth(x: Operand) -> tuple[Tensor, Tensor]:
    """Return where a value is surely not zero, and where it is surely zero."""
    if not isinstance(x, Conditioned):
        return torch.tensor(bool(x)), torch.tensor(not x)
    return x.value.abs() > x.radius, (x.value == 0) & (x.radius == 0)


def _uncertain(x: Operand) -> Tensor:
    """Return where a truth value may flip, to first order."""
    one = exact(x)
    return ROUNDOFF * one.error >= one.value.abs().clamp(min=0.5)


def _logic(name: str, function: Callable[..., Any], *names: str) -> Primitive:
    """Return the record of ``logical_and`` or ``logical_or``; where one side decides, the other is ignored."""

    def unit(value: Tensor, left: Operand, right: Operand) -> Pair:
        return value, torch.where(_uncertain(left) | _uncertain(right), 1.0 / ROUNDOFF, 0.0).double()

    def radius(p: Precision, value: Tensor, left: Operand, right: Operand) -> Tensor:
        del p
        (true, false), (too, neither) = _truth(left), _truth(right)
        either, both = (true | too, false & neither) if name == "logical_or" else (false | neither, true & too)
        return torch.where(either | both, 0.0, 1.0).double() + torch.zeros_like(value)

    return Primitive(
        name, function, ("input", "other"), names=(name, *names), unit=unit, radius=radius, least=zero_at_least
    )


def _not_unit(value: Tensor, x: Conditioned) -> Pair:
    return value, torch.where(_uncertain(x), 1.0 / ROUNDOFF, 0.0).double()


def _not_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    del p, value
    true, false = _truth(x)
    return torch.where(true | false, 0.0, 1.0).double()


def _where(condition: Tensor, left: Tensor | float, right: Tensor | float) -> Tensor:
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (left, right))
    return torch.where(condition != 0, a, b)


def _where_unit(value: Tensor, condition: Conditioned, left: Operand, right: Operand) -> Pair:
    a, b = exact(left), exact(right)
    true = condition.value != 0
    apart = torch.maximum(a.error, b.error) + (a.value - b.value).abs() / ROUNDOFF
    error = torch.where(_uncertain(condition), apart, torch.where(true, a.error, b.error))
    return torch.where(true, a.size, b.size) + torch.zeros_like(value), error


def _where_radius(p: Precision, value: Tensor, condition: Conditioned, left: Operand, right: Operand) -> Tensor:
    a, b = ball(p, left), ball(p, right)
    true, false = _truth(condition)
    apart = (a.value - b.value).abs()
    either = torch.where(
        condition.value != 0, torch.maximum(a.radius, apart + b.radius), torch.maximum(b.radius, apart + a.radius)
    )
    return torch.where(true, a.radius, torch.where(false, b.radius, either)) + torch.zeros_like(value)


def _where_zero(condition: Conditioned, left: Operand, right: Operand) -> Tensor:
    """Return the sign of zeros; ONNX Runtime's Where adds zeros (providers/cpu/tensor/where_op.cc), so −0 may be +0."""
    true, false = _truth(condition)
    return torch.where(true, sign(left), torch.where(false, sign(right), 0.0)).clamp(min=0.0)


def _where_least(p: Precision, condition: Conditioned, left: Operand, right: Operand) -> float:
    del condition
    return min(least_of(p, left), least_of(p, right))


def _where_spread(flag: Flag, value: Tensor, condition: Conditioned, left: Operand, right: Operand) -> Tensor:
    """Return the flags of the result; an operand that is surely not chosen does not count."""
    true, false = _truth(condition)
    none = torch.zeros((), dtype=torch.int8)
    a, b = (flag(x) if isinstance(x, Conditioned) else none for x in (left, right))
    chosen = torch.maximum(torch.where(false, 0, a), torch.where(true, 0, b)).to(torch.int8)
    return torch.maximum(flag(condition), chosen).expand(value.shape)


PRIMITIVES = (
    # The operators, because they accept a number on either side.
    _comparison("gt", operator.gt, "greater"),
    _comparison("lt", operator.lt, "less"),
    _comparison("ge", operator.ge, "greater_equal"),
    _comparison("le", operator.le, "less_equal"),
    _comparison("eq", operator.eq),
    _comparison("ne", operator.ne, "not_equal"),
    _logic("logical_and", torch.logical_and, "bitwise_and", "and_"),
    _logic("logical_or", torch.logical_or, "bitwise_or", "or_"),
    Primitive(
        "logical_not",
        torch.logical_not,
        ("input",),
        names=("logical_not", "bitwise_not", "invert", "inv"),
        unit=_not_unit,
        radius=_not_radius,
        least=zero_at_least,
    ),
    Primitive(
        "where",
        torch.where,
        ("condition", "input", "other"),
        names=("where",),
        unit=_where_unit,
        radius=_where_radius,
        zero=_where_zero,
        spread=_where_spread,
        least=_where_least,
        evaluate=_where,
    ),
)
