"""The sign of an exact zero, where every correct evaluation gives the same one.

``x·W`` of zero inputs is a sum of ``±0``. With one ``+0`` among them it is ``+0`` in any order; with ``−0`` alone it is
``−0``, or ``+0`` where the sum starts from ``+0``. So a rule says ``+1``, ``−1`` or, where it is not sure, 0.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from nalu_export.parity.conditioned import Conditioned

_SIGN = torch.int8


def of_input(x: Tensor) -> Tensor:
    """``±1`` for the zeros among the inputs, 0 for what is not zero."""
    return torch.where(x == 0, torch.where(torch.signbit(x), -1, 1), 0).to(_SIGN)


def of_result(name: str, value: Tensor, radius: Tensor, arguments: tuple[Any, ...]) -> Tensor:
    """The signs of the exact zeros of a primitive's result."""
    rule = _RULES.get(name)
    exact = (value == 0) & (radius == 0)
    if rule is None or not bool(exact.any()):
        return torch.zeros_like(value, dtype=_SIGN)
    return torch.where(exact, rule(*arguments), 0).to(_SIGN)


def _sign(x: Conditioned | float) -> Tensor:
    """``±1`` where the sign of a value is sure, zeros included, else 0."""
    if not isinstance(x, Conditioned):
        return torch.tensor(float(x)).sign()
    return torch.where(x.value.abs() > x.radius, x.value.sign(), x.zero.double())


def _linear(x: Conditioned, weight: Conditioned, bias: Conditioned | None) -> Tensor:
    if bias is not None:
        return torch.zeros(())
    inputs, weights = _sign(x), _sign(weight)
    positive = linear((inputs > 0).double(), (weights > 0).double()) + linear(
        (inputs < 0).double(), (weights < 0).double()
    )
    return (positive > 0).double()


def _add(left: Conditioned | float, right: Conditioned | float) -> Tensor:
    p, q = _sign(left), _sign(right)
    # Two exact numbers that cancel give +0, as do two zeros of which one is +0.
    return torch.where((p < 0) & (q < 0), -1.0, torch.where((p > 0) | (q > 0), 1.0, 0.0))


_RULES: dict[str, Callable[..., Tensor]] = {
    "linear": _linear,
    "add": _add,
    "mul": lambda left, right: _sign(left) * _sign(right),
    "neg": lambda x: -_sign(x),
    "abs": lambda x: torch.ones_like(x.value),
    "unsqueeze": lambda x, dim: _sign(x).unsqueeze(dim),
}
