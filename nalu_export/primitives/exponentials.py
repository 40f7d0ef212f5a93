"""exp, log and the functions that are made of them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Pair
from nalu_export.primitives.precision import ASINH, EXP, LOG, SINH, TANH, Precision
from nalu_export.primitives.record import Primitive

# The E that is expected of a correct float32 evaluation; beyond first order D has to know it.
LARGEST_E = 5.0


def _change(function: Callable[[Tensor], Tensor], value: Tensor, x: Conditioned) -> Tensor:
    """How far ``function`` moves when its argument is off by the largest allowed ``E·u·D``, over ``E·u``.

    It is ``|f′|·D`` to first order, and stays true where first order does not hold: 1e7 times a gate weight is
    known to about 1 only, and an exponent that is off by 3 is a factor of 20, not of 3.
    """
    unit = LARGEST_E * ROUNDOFF
    step = unit * x.read
    return torch.maximum(function(x.value + step) - value, value - function(x.value - step)) / unit


def _log_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), x.error / x.value.abs()


def _log_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    share = x.radius / x.value
    return p.rounded(value, torch.where(share < 1, -torch.log1p(-share), torch.inf), LOG)


def _exp_unit(value: Tensor, x: Conditioned) -> Pair:
    return value, value + _change(torch.exp, value, x)


def _exp_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = p.rounded(value, value * torch.expm1(x.radius), EXP)
    return radius if p.exp_limit == math.inf else torch.where(x.value + x.radius > p.exp_limit, torch.inf, radius)


def _tanh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), _change(torch.tanh, value, x)


def _tanh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.value.abs() - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius * (1.0 - torch.tanh(nearest) ** 2), TANH)


def _sigmoid_unit(value: Tensor, x: Conditioned) -> Pair:
    return value, _change(torch.sigmoid, value, x)


def _sigmoid_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    """Also of ``1/(1 + exp(−z))``: the exponential, an addition and a quotient."""
    spread = torch.maximum(torch.sigmoid(x.value + x.radius) - value, value - torch.sigmoid(x.value - x.radius))
    return p.rounded(value, spread, EXP + 2.0)


def _sinh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), value.abs() + _change(torch.sinh, value, x)


def _sinh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    # sinh(|x| + r) − sinh(|x|), without the cancellation.
    spread = 2.0 * torch.cosh(x.value.abs() + x.radius / 2) * torch.sinh(x.radius / 2)
    radius = p.rounded(value, spread, SINH)
    # Kernels go by exp, of which some are infinite early.
    return radius if p.exp_limit == math.inf else torch.where(x.value.abs() + x.radius > p.exp_limit, torch.inf, radius)


def _asinh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), x.error / torch.sqrt(x.value * x.value + 1.0)


def _asinh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.value.abs() - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius / torch.sqrt(nearest * nearest + 1.0), ASINH)


_UNARY = ("input",)

PRIMITIVES = (
    Primitive("log", torch.log, _UNARY, names=("log",), unit=_log_unit, radius=_log_radius),
    Primitive("exp", torch.exp, _UNARY, names=("exp",), unit=_exp_unit, radius=_exp_radius),
    Primitive("tanh", torch.tanh, _UNARY, names=("tanh",), unit=_tanh_unit, radius=_tanh_radius),
    Primitive("sigmoid", torch.sigmoid, _UNARY, names=("sigmoid", "expit"), unit=_sigmoid_unit, radius=_sigmoid_radius),
    Primitive("sinh", torch.sinh, _UNARY, names=("sinh",), unit=_sinh_unit, radius=_sinh_radius),
    Primitive("asinh", torch.asinh, _UNARY, names=("asinh", "arcsinh"), unit=_asinh_unit, radius=_asinh_radius),
)
