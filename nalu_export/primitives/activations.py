"""Activation functions of torch, written with primitives: see :mod:`nalu_export.primitives.compositions`."""

import math
from typing import Any

import torch

from nalu_export.primitives.compositions import composition

# Constants of Klambauer et al. 2017, Self-Normalizing Neural Networks, with torch's digits.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@composition("relu")
def _relu(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.clamp(x, min=0.0)


@composition("relu6")
def _relu6(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.clamp(x, 0.0, 6.0)


@composition("hardtanh")
def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.clamp(x, min_val, max_val)


@composition("leaky_relu")
def _leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.where(x > 0.0, x, x * negative_slope)


@composition("rrelu")
def _rrelu(
    x: Any, lower: float = 1.0 / 8.0, upper: float = 1.0 / 3.0, training: bool = False, inplace: bool = False
) -> Any:
    """In ``eval()`` the slope is the mean of ``lower`` and ``upper``."""
    return NotImplemented if training or inplace else torch.where(x > 0.0, x, x * ((lower + upper) / 2.0))


@composition("threshold")
def _threshold(x: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.where(x > threshold, x, value)


@composition("elu")
def _elu(x: Any, alpha: float = 1.0, scale: Any = False, input_scale: float = 1.0, inplace: bool = False) -> Any:
    """Accept both signatures: aten's third argument is ``scale``, that of ``torch.nn.functional`` is ``inplace``."""
    if inplace or scale is True or input_scale != 1:
        return NotImplemented
    result = torch.where(x > 0.0, x, alpha * torch.expm1(x))
    return result if scale is False or scale == 1 else scale * result


@composition("selu")
def _selu(x: Any, inplace: bool = False) -> Any:
    if inplace:
        return NotImplemented
    return _SELU_SCALE * torch.where(x > 0.0, x, _SELU_ALPHA * torch.expm1(x))


@composition("celu")
def _celu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.where(x > 0.0, x, alpha * torch.expm1(x / alpha))


@composition("silu")
def _silu(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else x * torch.sigmoid(x)


@composition("mish")
def _mish(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else x * torch.tanh(_softplus(x))


@composition("softplus")
def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = x if beta == 1 else x * beta
    curved = torch.log1p(torch.exp(scaled))
    return torch.where(scaled > threshold, x, curved if beta == 1 else curved / beta)


@composition("logsigmoid", "log_sigmoid")
def _logsigmoid(x: Any) -> Any:
    return torch.clamp(x, max=0.0) - torch.log1p(torch.exp(-torch.abs(x)))


@composition("softsign")
def _softsign(x: Any) -> Any:
    return x / (1.0 + torch.abs(x))


@composition("tanhshrink")
def _tanhshrink(x: Any) -> Any:
    return x - torch.tanh(x)


@composition("softshrink")
def _softshrink(x: Any, lambd: float = 0.5) -> Any:
    return x - torch.clamp(x, -lambd, lambd)


@composition("hardshrink")
def _hardshrink(x: Any, lambd: float = 0.5) -> Any:
    return torch.where(torch.abs(x) > lambd, x, 0.0)


@composition("hardsigmoid")
def _hardsigmoid(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else torch.clamp(x + 3.0, 0.0, 6.0) / 6.0


@composition("hardswish")
def _hardswish(x: Any, inplace: bool = False) -> Any:
    return NotImplemented if inplace else x * torch.clamp(x + 3.0, 0.0, 6.0) / 6.0


@composition("gelu")
def _gelu(x: Any, approximate: str = "none") -> Any:
    """Use ``tanh`` for ``approximate="tanh"``, else the error function."""
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1.0 + torch.tanh(inner))
    return 0.5 * x * (1.0 + torch.erf(x * math.sqrt(0.5)))
