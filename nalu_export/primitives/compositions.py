"""Compositions: torch functions that can be written with primitives.

Each composition is written once, in torch. Capture replaces a call of the function by these primitives. The functions
here run on tensors and on fx proxies, so they branch on plain numbers only. They return ``NotImplemented`` for a call
that they cannot express (another rounding mode, an operation in place).
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nalu_export.primitives.binding import bound


@dataclass(frozen=True)
class Composition:
    """A torch function written with primitives.

    Attributes:
        names: its names in ``torch``, ``torch.nn.functional``, ``operator``, ``Tensor`` and ``torch.ops.aten``.
        function: returns the result, or ``NotImplemented``.
        parameters: names of its arguments in order.
        defaults: values of the optional arguments.
    """

    names: tuple[str, ...]
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the arguments in the order of ``parameters``, or ``None`` if one is missing or unknown."""
        return bound(self.parameters, self.defaults, {}, args, kwargs)


COMPOSITIONS: dict[str, Composition] = {}
"""Every composition under each of its names."""


def composition(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds a function to :data:`COMPOSITIONS` under these names.

    The function has the signature of torch, except that ``input`` is called ``x`` and ``min`` is called ``min_``.
    """

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        parameters = {_name(name): given for name, given in inspect.signature(function).parameters.items()}
        defaults = {
            name: parameter.default
            for name, parameter in parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        made = Composition(names, function, tuple(parameters), defaults)
        COMPOSITIONS.update(dict.fromkeys(names, made))
        return function

    return enter


def _name(parameter: str) -> str:
    return "input" if parameter == "x" else parameter.rstrip("_")


def is_number(x: Any) -> bool:
    """Return whether ``x`` is a plain number, not a tensor."""
    return isinstance(x, (int, float))


# Powers and logarithms ----------------------------------------------------------------------------------------------


@composition("square")
def _square(x: Any) -> Any:
    return x * x


@composition("reciprocal")
def _reciprocal(x: Any) -> Any:
    return 1.0 / x


@composition("rsqrt")
def _rsqrt(x: Any) -> Any:
    return 1.0 / torch.sqrt(x)


@composition("pow")
def _pow(x: Any, exponent: Any) -> Any:
    """Write a power with a small whole or half number as its exponent; any other power is a primitive."""
    if is_number(x) or not is_number(exponent):
        return NotImplemented
    written: dict[float, Callable[[Any], Any]] = {
        -2.0: lambda x: 1.0 / (x * x),
        -1.0: _reciprocal,
        -0.5: _rsqrt,
        0.5: torch.sqrt,
        1.0: lambda x: x,
        2.0: _square,
        3.0: lambda x: x * x * x,
    }
    function = written.get(float(exponent))
    return NotImplemented if function is None else function(x)


@composition("exp2", "special_exp2")
def _exp2(x: Any) -> Any:
    return torch.pow(2.0, x)


@composition("log2")
def _log2(x: Any) -> Any:
    return torch.log(x) / math.log(2.0)


@composition("log10")
def _log10(x: Any) -> Any:
    return torch.log(x) / math.log(10.0)


@composition("logit", "special_logit")
def _logit(x: Any, eps: float | None = None) -> Any:
    if eps is not None:
        x = torch.clamp(x, eps, 1.0 - eps)
    return torch.log(x) - torch.log1p(-x)


@composition("logaddexp")
def _logaddexp(x: Any, other: Any) -> Any:
    return torch.maximum(x, other) + torch.log1p(torch.exp(-torch.abs(x - other)))


@composition("cosh")
def _cosh(x: Any) -> Any:
    return (torch.exp(x) + torch.exp(-x)) / 2.0


@composition("tan")
def _tan(x: Any) -> Any:
    return torch.sin(x) / torch.cos(x)


@composition("frac")
def _frac(x: Any) -> Any:
    return x - torch.trunc(x)


# Sums and products --------------------------------------------------------------------------------------------------


@composition("add")
def _add(x: Any, other: Any, alpha: Any = 1) -> Any:
    """Write a sum with a factor ``alpha``; without the factor, a sum is a primitive."""
    return NotImplemented if is_number(alpha) and alpha == 1 else x + alpha * other


@composition("sub", "subtract")
def _sub(x: Any, other: Any, alpha: Any = 1) -> Any:
    """Write a difference with a factor ``alpha``; without the factor, a difference is a primitive."""
    return NotImplemented if is_number(alpha) and alpha == 1 else x - alpha * other


@composition("rsub")
def _rsub(x: Any, other: Any, alpha: Any = 1) -> Any:
    return other - (x if is_number(alpha) and alpha == 1 else alpha * x)


@composition("addcmul")
def _addcmul(x: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    product = tensor1 * tensor2
    return x + (product if value == 1 else value * product)


@composition("addcdiv")
def _addcdiv(x: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
    quotient = tensor1 / tensor2
    return x + (quotient if value == 1 else value * quotient)


@composition("lerp")
def _lerp(x: Any, end: Any, weight: Any) -> Any:
    return x + weight * (end - x)


@composition("linalg_vector_norm")
def _vector_norm(x: Any, ord_: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    return NotImplemented if dtype is not None else _norm(x, ord_, dim, keepdim)


@composition("norm")
def _norm(x: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Any:
    """Write a norm of order 1, 2 or ∞ along given axes; without axes the norm may be a matrix norm."""
    if dim is None or p not in (1, 2, math.inf, None, "fro"):
        return NotImplemented
    if p == 1:
        return torch.sum(torch.abs(x), dim, keepdim)
    if p == math.inf:
        return torch.amax(torch.abs(x), dim, keepdim)
    return torch.sqrt(torch.sum(x * x, dim, keepdim))


@composition("normalize")
def _normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Any:
    length = _norm(x, p, dim, True)
    return NotImplemented if length is NotImplemented or out is not None else x / torch.clamp(length, min=eps)


# Clamps -------------------------------------------------------------------------------------------------------------


@composition("clamp", "clip")
def _clamp(x: Any, min_: Any = None, max_: Any = None) -> Any:
    """Write a clamp with a tensor as a bound; a clamp between numbers is a primitive."""
    if all(end is None or is_number(end) for end in (min_, max_)):
        return NotImplemented
    return _clamp_max(_clamp_min(x, min_), max_)


@composition("clamp_min")
def _clamp_min(x: Any, min_: Any) -> Any:
    if min_ is None:
        return x
    return torch.clamp(x, min=min_) if is_number(min_) else torch.maximum(x, min_)


@composition("clamp_max")
def _clamp_max(x: Any, max_: Any) -> Any:
    if max_ is None:
        return x
    return torch.clamp(x, max=max_) if is_number(max_) else torch.minimum(x, max_)
