"""Activation functions: the error of their kernels, and how much they may amplify an error of the input."""

from collections.abc import Callable

import torch
from torch import Tensor

from nalu_export.parity.opaque.allowance import Allowance, Rule
from nalu_export.parity.opaque.call import Call, Error, constant_ball
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import EXP, TANH, Precision

# Largest slopes, rounded up: of x·Φ(x), x·σ(x), x·tanh(softplus(x)) and x·relu6(x + 3)/6.
GELU_SLOPE, SILU_SLOPE, MISH_SLOPE, HARDSWISH_SLOPE = 1.13, 1.1, 1.09, 1.5
SELU_SLOPE = 1.7581
# Kernels compute the Φ, σ and tanh inside these functions to a few roundoffs of 1, not of a small value.
GATE = EXP + 8.0

# Error of a kernel in roundoffs, from the magnitudes of the input and the result.
_Own = Callable[[Tensor, Tensor], Tensor]


def _curve(slope: float, own: _Own) -> Rule:
    """Return the rule of an elementwise function whose slope is at most ``slope``."""

    def rule(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
        x = call.argument("input")
        if not isinstance(x, Conditioned) or x.value.shape != value.shape:
            return None
        off = precision.roundoff * own(x.reach, value.abs())
        off = off + precision.tiny * (off > 0)
        return Allowance(off, lambda error: slope * error(x))

    return rule


def _relu(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """ReLU is exact, and an error of a surely negative input has no effect."""
    del precision
    x = call.argument("input")
    if not isinstance(x, Conditioned):
        return None

    def carry(error: Error) -> Tensor:
        off = error(x)
        return torch.minimum(off, (x.value + off).clamp(min=0.0))

    return Allowance(torch.zeros_like(value), carry)


def _clamped(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """Clamping is exact, and an error of an input surely beyond an end has no effect."""
    del precision
    x = call.argument("input")
    if not isinstance(x, Conditioned):
        return None
    low, high = (0.0, 6.0) if call.name == "relu6" else (call.setting("min_val", -1.0), call.setting("max_val", 1.0))

    def carry(error: Error) -> Tensor:
        off = error(x)
        return torch.where((x.value + off <= low) | (x.value - off >= high), 0.0, off)

    return Allowance(torch.zeros_like(value), carry)


def _leaky(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """A negative input is multiplied by a slope, which is one number or one per channel."""
    x = call.argument("input")
    slope = call.setting("weight") if call.name == "prelu" else call.setting("negative_slope", 0.01)
    if not isinstance(x, Conditioned):
        return None
    ball = constant_ball(slope) if isinstance(slope, (Tensor, Conditioned)) else None
    steepest = max(1.0, float(ball.value.abs().max()) if ball is not None else abs(float(slope)))
    uncertain = 0.0 if ball is None else float(ball.radius.max())
    # A slope that is no parameter is rounded once, and so is its product.
    own = (2.0 * precision.roundoff * value.abs() + uncertain * x.magnitude) * (x.value < x.radius)
    return Allowance(own + precision.tiny * (own > 0), lambda error: steepest * error(x))


def _of_the_input(factor: float) -> _Own:
    return lambda x, value: factor * (x + value)


def _of_the_result(factor: float) -> _Own:
    return lambda _, value: factor * value


def _of_one(factor: float) -> _Own:
    return lambda _, value: factor * (1.0 + value)


def _elu(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """``α·(exp(x) − 1)`` below 0; some runtimes have no ``expm1``."""
    x = call.argument("input")
    alpha = abs(float(call.setting("alpha", 1.0))) if call.name != "selu" else SELU_SLOPE
    if not isinstance(x, Conditioned):
        return None
    below = max(1.0, alpha) * (EXP + 4.0) * (x.value < x.radius)
    # The slope of CELU is 1 for every α, because α divides its argument.
    slope = 1.0 if call.name == "celu" else max(1.0, alpha)
    return _curve(slope, lambda _, size: 4.0 * size + below)(call, value, precision)


RULES: dict[str, Rule] = {
    "relu": _relu,
    "relu6": _clamped,
    "hardtanh": _clamped,
    "leaky_relu": _leaky,
    "prelu": _leaky,
    **dict.fromkeys(("elu", "selu", "celu"), _elu),
    "gelu": _curve(GELU_SLOPE, _of_the_input(GATE)),
    "silu": _curve(SILU_SLOPE, _of_the_input(GATE)),
    "mish": _curve(MISH_SLOPE, _of_the_input(GATE + TANH)),
    "hardswish": _curve(HARDSWISH_SLOPE, _of_the_input(4.0)),
    "hardsigmoid": _curve(1.0, _of_one(4.0)),
    "softplus": _curve(1.0, _of_one(2.0 * EXP)),
    "logsigmoid": _curve(1.0, _of_one(2.0 * EXP)),
    "log_sigmoid": _curve(1.0, _of_one(2.0 * EXP)),
    "softsign": _curve(1.0, _of_the_result(4.0)),
    "tanhshrink": _curve(1.0, _of_the_input(TANH)),
    "sigmoid": _curve(0.25, _of_one(EXP + 4.0)),
    "tanh": _curve(1.0, _of_the_result(TANH)),
}
