"""exp, log and functions related to them: log1p, expm1, tanh, sigmoid, sinh, asinh, erf."""

import math

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.operands import Pair, change, zero_at_least
from nalu_export.primitives.precision import (
    ASINH,
    ERF,
    EXP,
    EXPM1,
    LOG,
    LOG1P,
    QUOTIENT,
    SINH,
    SINH_SHIFT,
    TANH,
    Precision,
)
from nalu_export.primitives.record import Primitive


def _log_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), x.error / x.magnitude


def _log_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    return p.rounded(value, _log_spread(x.value, x.below, x.radius), LOG)


def _log_spread(x: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """Return the larger of ``log(x) − log(x − down)`` and ``log(x + up) − log(x)``."""
    share = down / x
    # Without a lower bound of x both are one object (Conditioned.below), and the one below is the larger.
    spread = -torch.log1p(-share)
    if down is not up:
        spread = torch.maximum(spread, torch.log1p(up / x))
    # where() takes as long as eight sums.
    return spread if share.numel() and float(share.amax()) < 1 else torch.where(share < 1, spread, torch.inf)


def _exp_unit(value: Tensor, x: Conditioned) -> Pair:
    return value, value + change(torch.exp, value, x, x.read)


def _exp_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = p.rounded(value, value * torch.expm1(x.radius), EXP)
    return radius if p.exp_limit == math.inf else torch.where(x.value + x.radius > p.exp_limit, torch.inf, radius)


def _log1p_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), x.read / (1.0 + x.value)


def _log1p_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    return p.rounded(value, _log_spread(1.0 + x.value, x.below, x.radius), LOG1P)


def _expm1_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), value.abs() + change(torch.expm1, value, x, x.read)


def _expm1_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = p.rounded(value, torch.exp(x.value) * torch.expm1(x.radius), EXPM1)
    return radius if p.exp_limit == math.inf else torch.where(x.value + x.radius > p.exp_limit, torch.inf, radius)


def _tanh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), change(torch.tanh, value, x, x.read)


def _tanh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.magnitude - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius * (1.0 - torch.tanh(nearest) ** 2), TANH)


def _sigmoid_unit(value: Tensor, x: Conditioned) -> Pair:
    return value, change(torch.sigmoid, value, x, x.read)


def _sigmoid_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    """Return a radius that also holds for ``1/(1 + exp(−z))``: an exponential, an addition and a quotient."""
    spread = torch.maximum(torch.sigmoid(x.value + x.radius) - value, value - torch.sigmoid(x.value - x.radius))
    return p.rounded(value, spread, EXP + 1.0 + QUOTIENT)


def _sinh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), value.abs() + change(torch.sinh, value, x, x.read)


def _sinh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    # sinh(|x| + r) − sinh(|x|), written without cancellation.
    spread = 2.0 * torch.cosh(x.magnitude + x.radius / 2) * torch.sinh(x.radius / 2)
    radius = p.rounded(value, spread, SINH)
    # Kernels halve exp(|x|), which overflows before its half does, as in torch's own float32 sinh. The form that ONNX
    # files use does not.
    limit = min(p.exp_limit + SINH_SHIFT, math.log(p.largest))
    return torch.where(x.reach > limit, torch.inf, radius)


def _asinh_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), x.error / torch.sqrt(x.value * x.value + 1.0)


def _asinh_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.magnitude - x.radius).clamp(min=0.0)
    return p.rounded(value, x.radius / torch.sqrt(nearest * nearest + 1.0), ASINH)


def _erf_unit(value: Tensor, x: Conditioned) -> Pair:
    return value.abs(), change(torch.erf, value, x, x.read)


def _erf_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    nearest = (x.magnitude - x.radius).clamp(min=0.0)
    slope = 2.0 / math.sqrt(math.pi) * torch.exp(-nearest * nearest)
    return p.rounded(value, (x.radius * slope).clamp(max=2.0), ERF)


_UNARY = ("input",)

PRIMITIVES = (
    Primitive("log", torch.log, _UNARY, names=("log",), unit=_log_unit, radius=_log_radius, delicate=True),
    Primitive(
        "exp", torch.exp, _UNARY, names=("exp",), unit=_exp_unit, radius=_exp_radius, least=zero_at_least, delicate=True
    ),
    Primitive(
        "log1p",
        torch.log1p,
        _UNARY,
        names=("log1p", "special_log1p"),
        unit=_log1p_unit,
        radius=_log1p_radius,
        delicate=True,
    ),
    Primitive(
        "expm1",
        torch.expm1,
        _UNARY,
        names=("expm1", "special_expm1"),
        unit=_expm1_unit,
        radius=_expm1_radius,
        delicate=True,
    ),
    Primitive("tanh", torch.tanh, _UNARY, names=("tanh",), unit=_tanh_unit, radius=_tanh_radius),
    Primitive(
        "sigmoid",
        torch.sigmoid,
        _UNARY,
        names=("sigmoid", "special_expit"),
        unit=_sigmoid_unit,
        radius=_sigmoid_radius,
        least=zero_at_least,
    ),
    Primitive("sinh", torch.sinh, _UNARY, names=("sinh",), unit=_sinh_unit, radius=_sinh_radius, delicate=True),
    Primitive("erf", torch.erf, _UNARY, names=("erf", "special_erf"), unit=_erf_unit, radius=_erf_radius),
    Primitive(
        "asinh", torch.asinh, _UNARY, names=("asinh", "arcsinh"), unit=_asinh_unit, radius=_asinh_radius, delicate=True
    ),
)
