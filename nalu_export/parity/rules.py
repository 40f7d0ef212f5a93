"""One error rule for each primitive: value, size and ``D`` of the result from those of the arguments.

See :mod:`nalu_export.parity.analysis` for what ``D`` means and where the rules come from.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nalu_export.parity.conditioned import ROUNDOFF, Conditioned

# The E that is expected of a correct float32 evaluation; beyond first order D has to know it.
LARGEST_E = 5.0

Rule = Callable[..., tuple[Tensor, Tensor, Tensor]]
_Triple = tuple[Tensor, Tensor, Tensor]


def _operand(x: Conditioned | float) -> Conditioned:
    return x if isinstance(x, Conditioned) else Conditioned.exact(torch.tensor(float(x), dtype=torch.float64))


def _linear(x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> _Triple:
    value = torch.nn.functional.linear(x.value, weight.value)
    magnitude = weight.value.abs()
    size = torch.nn.functional.linear(x.value.abs(), magnitude)
    error = torch.nn.functional.linear(x.error + x.value.abs(), magnitude)
    if bias is not None:
        value, size, error = value + bias.value, size + bias.value.abs(), error + bias.value.abs()
    return value, size, error


def _sum(sign: float) -> Rule:
    def rule(left: Conditioned | float, right: Conditioned | float) -> _Triple:
        p, q = _operand(left), _operand(right)
        value, error = p.value + sign * q.value, p.error + q.error
        if isinstance(left, Conditioned) and isinstance(right, Conditioned):
            error = torch.maximum(error, p.value.abs() + q.value.abs())
        # A literal (ε, the 1 of 1 − W) is exact, and the rounding of the sum is charged where the sum is read.
        return value, value.abs(), error + torch.zeros_like(value)

    return rule


def _mul(left: Conditioned | float, right: Conditioned | float) -> _Triple:
    p, q = _operand(left), _operand(right)
    value = p.value * q.value
    return value, value.abs(), torch.maximum(q.size * p.error + p.size * q.error, p.size * q.size)


def _div(left: Conditioned | float, right: Conditioned | float) -> _Triple:
    p, q = _operand(left), _operand(right)
    value = p.value / q.value
    error = (p.error + value.abs() * q.error) / q.value.abs()
    return value, value.abs(), torch.maximum(error, p.size / q.value.abs())


def _unchanged(function: Callable[[Tensor], Tensor]) -> Rule:
    return lambda x: (function(x.value), x.size, x.error)


def _log(x: Conditioned) -> _Triple:
    value = torch.log(x.value)
    return value, value.abs(), x.error / x.value.abs()


def _change(function: Callable[[Tensor], Tensor], x: Conditioned) -> Tensor:
    """How far ``function`` moves when its argument is off by the largest allowed ``E·u·D``, over ``E·u``.

    It is ``|f′|·D`` to first order, and stays true where first order does not hold: 1e7 times a gate weight is
    known to about 1 only, and an exponent that is off by 3 is a factor of 20, not of 3.
    """
    unit = LARGEST_E * ROUNDOFF
    step, value = unit * x.read, function(x.value)
    return torch.maximum(function(x.value + step) - value, value - function(x.value - step)) / unit


def _exp(x: Conditioned) -> _Triple:
    value = torch.exp(x.value)
    return value, value, value + _change(torch.exp, x)


def _tanh(x: Conditioned) -> _Triple:
    value = torch.tanh(x.value)
    return value, value.abs(), _change(torch.tanh, x)


def _sinh(x: Conditioned) -> _Triple:
    value = torch.sinh(x.value)
    return value, value.abs(), value.abs() + _change(torch.sinh, x)


def _asinh(x: Conditioned) -> _Triple:
    value = torch.asinh(x.value)
    return value, value.abs(), x.error / torch.sqrt(x.value * x.value + 1.0)


def _sigmoid(x: Conditioned) -> _Triple:
    value = torch.sigmoid(x.value)
    return value, value, _change(torch.sigmoid, x)


def _cos(x: Conditioned) -> _Triple:
    value, read = torch.cos(x.value), x.read
    change = torch.sin(x.value).abs() * read + ROUNDOFF / 2 * read * read
    return value, value.abs(), change.clamp(max=2.0 / ROUNDOFF)


def _sign(x: Conditioned) -> _Triple:
    value = torch.sign(x.value)
    jump = torch.where(x.value.abs() <= ROUNDOFF * x.error, 2.0 / ROUNDOFF, 0.0).to(value.dtype)
    return value, value.abs(), jump


def _clamp(x: Conditioned, low: float | None, high: float | None) -> _Triple:
    value = torch.clamp(x.value, low, high)
    return value, value.abs(), x.error


def _prod(x: Conditioned, dim: int, keepdim: bool) -> _Triple:
    size = x.size.movedim(dim, -1)
    one = torch.ones_like(size[..., :1])
    before = torch.cumprod(torch.cat([one, size[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([one, size.flip(-1)[..., :-1]], -1), -1).flip(-1)
    error = (before * after * x.error.movedim(dim, -1)).sum(-1) + size.prod(-1) * size.shape[-1]
    value = torch.prod(x.value, dim=dim, keepdim=keepdim)
    return value, value.abs(), error.unsqueeze(dim) if keepdim else error


def _unsqueeze(x: Conditioned, dim: int) -> _Triple:
    return x.value.unsqueeze(dim), x.size.unsqueeze(dim), x.error.unsqueeze(dim)


def _cast(x: Conditioned, dtype: Any) -> _Triple:
    del dtype  # the reference stays in float64 whatever the model casts to
    return x.value, x.size, x.error


RULES: dict[str, Rule] = {
    "linear": _linear,
    "add": _sum(1.0),
    "sub": _sum(-1.0),
    "mul": _mul,
    "div": _div,
    "neg": _unchanged(torch.neg),
    "abs": _unchanged(torch.abs),
    "sign": _sign,
    "log": _log,
    "exp": _exp,
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "sinh": _sinh,
    "asinh": _asinh,
    "cos": _cos,
    "clamp": _clamp,
    "prod": _prod,
    "unsqueeze": _unsqueeze,
    "cast": _cast,
}
