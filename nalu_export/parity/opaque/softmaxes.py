"""Softmax and its logarithm."""

import math

import torch
from torch import Tensor

from nalu_export.parity.opaque.allowance import ORDER, Allowance, Rule
from nalu_export.parity.opaque.call import Call, Error
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import EXP, LOG, QUOTIENT, Precision


def _log_softmax(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    found = _logarithms(call, value)
    if found is None:
        return None
    x, dim, result = found
    own = precision.roundoff * _roundoffs(x, dim, result) + precision.tiny * (result != 0)
    return Allowance(own, lambda error: _carried(x, dim, result, error))


def _softmax(call: Call, value: Tensor, precision: Precision) -> Allowance | None:
    """``exp`` of the logarithm, so that its relative error is the logarithm's absolute one."""
    found = _logarithms(call, value)
    if found is None:
        return None
    x, dim, result = found
    own = value * torch.expm1(precision.roundoff * (_roundoffs(x, dim, result) + EXP + 1.0 + QUOTIENT)) + precision.tiny
    return Allowance(own, lambda error: value * torch.expm1(_carried(x, dim, result, error)))


def _logarithms(call: Call, value: Tensor) -> tuple[Conditioned, int, Tensor] | None:
    x, dim = call.argument("input"), call.setting("dim")
    if not isinstance(x, Conditioned) or x.value.shape != value.shape or not isinstance(dim, int):
        return None  # without an axis torch guesses one
    return x, dim, torch.log_softmax(x.value, dim)


def _roundoffs(x: Conditioned, dim: int, result: Tensor) -> Tensor:
    """Error of ``x_i − max − log Σ exp(x_j − max)`` in roundoffs.

    Each difference is rounded once, each exp and the sum of them add a relative error, which the logarithm makes an
    absolute one; then come the logarithm's own error and the last difference.
    """
    behind = x.value.amax(dim, keepdim=True) - x.value
    count = x.value.shape[dim]
    additions = min(count - 1.0, ORDER * math.sqrt(count))
    shares = result.exp()
    # What has no share has no error, however far behind it is.
    differences = torch.where(shares > 0, shares * behind, 0.0).sum(dim, keepdim=True)
    total = (result + behind).neg()
    return behind + differences + EXP + additions + LOG * total.abs() + result.abs() + 2.0


def _carried(x: Conditioned, dim: int, result: Tensor, error: Error) -> Tensor:
    """``r_i + log Σ p_j·exp(r_j)``: how far the logarithm moves, whatever the signs of the errors ``r``.

    Signs tried at random miss the worst ones: all up and all down change nothing.
    """
    radius = error(x)
    raised = torch.log_softmax(x.value + radius, dim) - result  # r_i − log Σ p_j·exp(r_j)
    return (2.0 * radius - raised).clamp(min=0.0)


RULES: dict[str, Rule] = {"softmax": _softmax, "log_softmax": _log_softmax}
