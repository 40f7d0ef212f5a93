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
    """``exp`` of the log-softmax, so that its relative error is the absolute error of the logarithm."""
    found = _logarithms(call, value)
    if found is None:
        return None
    x, dim, result = found
    own = value * torch.expm1(precision.roundoff * (_roundoffs(x, dim, result) + EXP + 1.0 + QUOTIENT)) + precision.tiny
    return Allowance(own, lambda error: value * torch.expm1(_carried(x, dim, result, error)))


def _logarithms(call: Call, value: Tensor) -> tuple[Conditioned, int, Tensor] | None:
    x, dim = call.argument("input"), call.setting("dim")
    if not isinstance(x, Conditioned) or x.value.shape != value.shape or not isinstance(dim, int):
        return None  # torch guesses the axis if none is given
    return x, dim, torch.log_softmax(x.value, dim)


def _roundoffs(x: Conditioned, dim: int, result: Tensor) -> Tensor:
    """Return the error of ``x_i − max − log Σ exp(x_j − max)`` in roundoffs.

    Each difference is rounded once. Each exp and the sum add a relative error, which the logarithm turns into an
    absolute one. The logarithm's own error and the last difference add to that.
    """
    behind = x.value.amax(dim, keepdim=True) - x.value
    count = x.value.shape[dim]
    additions = min(count - 1.0, ORDER * math.sqrt(count))
    shares = result.exp()
    # A term with share 0 adds no error, however far below the maximum it is.
    differences = torch.where(shares > 0, shares * behind, 0.0).sum(dim, keepdim=True)
    total = (result + behind).neg()
    return behind + differences + EXP + additions + LOG * total.abs() + result.abs() + 2.0


def _carried(x: Conditioned, dim: int, result: Tensor, error: Error) -> Tensor:
    """Return ``r_i + log Σ p_j·exp(r_j)``: how far the logarithm moves for any signs of the errors ``r``.

    Perturbed evaluations with random signs miss the worst case, and all up or all down changes nothing.
    """
    radius = error(x)
    raised = torch.log_softmax(x.value + radius, dim) - result  # r_i − log Σ p_j·exp(r_j)
    return (2.0 * radius - raised).clamp(min=0.0)


RULES: dict[str, Rule] = {"softmax": _softmax, "log_softmax": _log_softmax}
