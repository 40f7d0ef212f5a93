"""What each operator of torch is in double-double, by the name of the operator."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from benchmarks import double_double as dd
from benchmarks.double_double import Pair

Number = Pair | float

# Operators that move numbers and change none.
STRUCTURAL = frozenset(
    {
        "t", "transpose", "permute", "view", "_unsafe_view", "_reshape_alias", "reshape", "expand", "unsqueeze",
        "squeeze", "slice", "select", "split", "split_with_sizes", "unbind", "cat", "stack", "clone", "detach", "alias",
        "_to_copy", "where",
    }
)  # fmt: skip


def _of(value: Number) -> Pair:
    return value if isinstance(value, Pair) else dd.exactly(float(value))


def _add(a: Number, b: Number, alpha: float = 1) -> Pair:
    return dd.add(_of(a), b if alpha == 1 and isinstance(b, Pair) else dd.mul(_of(alpha), _of(b)))


def _sub(a: Number, b: Number, alpha: float = 1) -> Pair:
    return _add(a, dd.neg(_of(b)), alpha)


def _clamp(x: Pair, low: Number | None = None, high: Number | None = None) -> Pair:
    x = x if low is None else _maximum(x, low)
    return x if high is None else _minimum(x, high)


def _maximum(a: Number, b: Number) -> Pair:
    a, b = _of(a), _of(b)
    return dd.select(dd.less(a, b), b, a)


def _minimum(a: Number, b: Number) -> Pair:
    a, b = _of(a), _of(b)
    return dd.select(dd.less(b, a), b, a)


def _pow(base: Number, exponent: Number) -> Pair:
    if isinstance(exponent, Pair) or not float(exponent).is_integer() or not 0 < exponent <= 4:
        return dd.exp(dd.mul(_of(exponent), dd.log(_of(base))))
    return reduce(dd.mul, [_of(base)] * int(exponent))


def _along(x: Pair, dims: int | Sequence[int] | None, keep: bool, step: Callable[[Pair, Pair], Pair]) -> Pair:
    """The fold of ``step`` along some axes."""
    rank = x.hi.dim()
    axes = range(rank) if dims is None else [dims] if isinstance(dims, int) else dims
    for axis in sorted((axis % rank for axis in axes), reverse=True):
        parts = [Pair(hi, lo) for hi, lo in zip(x.hi.unbind(axis), x.lo.unbind(axis), strict=True)]
        x = reduce(step, parts)
        if keep:
            x = Pair(x.hi.unsqueeze(axis), x.lo.unsqueeze(axis))
    return x


def _summed(x: Pair, dims: int | Sequence[int] | None = None, keep: bool = False, dtype: Any = None) -> Pair:
    del dtype
    return _along(x, dims, keep, dd.add)


def _multiplied(x: Pair, dims: int | None = None, keep: bool = False, dtype: Any = None) -> Pair:
    del dtype
    return _along(x, dims, keep, dd.mul)


def _mean(x: Pair, dims: int | Sequence[int] | None = None, keep: bool = False, dtype: Any = None) -> Pair:
    total = _summed(x, dims, keep, dtype)
    return dd.div(total, _of(x.hi.numel() / total.hi.numel()))


def _matmul(a: Pair, b: Pair) -> Pair:
    """``(…, n, k)`` by ``(…, k, m)``."""
    left, right = (Pair(p.hi.unsqueeze(axis), p.lo.unsqueeze(axis)) for p, axis in ((a, -1), (b, -3)))
    return _summed(dd.mul(left, right), -2)


def _addmm(bias: Pair, a: Pair, b: Pair, beta: float = 1, alpha: float = 1) -> Pair:
    return _add(dd.mul(_of(beta), bias), _matmul(a, b), alpha)


def _softmax(x: Pair, dim: int, half: bool = False) -> Pair:
    del half
    e = dd.exp(dd.sub(x, _along(x, dim, True, _maximum)))
    return dd.div(e, _summed(e, dim, True))


def _softplus(x: Pair, beta: float = 1, threshold: float = 20) -> Pair:
    if beta != 1:
        raise NotImplementedError(f"benchmarks.extended has no rule for softplus with beta={beta}")
    return dd.select(x.hi > threshold, x, dd.log1p(dd.exp(x)))


def _logsigmoid(x: Pair) -> tuple[Pair, Tensor]:
    smooth = dd.log1p(dd.exp(dd.neg(dd.absolute(x))))
    return dd.sub(_minimum(x, 0.0), smooth), torch.empty(0)


def _lerp(a: Pair, b: Pair, weight: Number) -> Pair:
    return dd.add(a, dd.mul(_of(weight), dd.sub(b, a)))


def _addcmul(x: Pair, a: Pair, b: Pair, value: float = 1) -> Pair:
    return _add(x, dd.mul(a, b), value)


def _weight_norm(v: Pair, g: Pair, dim: int = 0) -> tuple[Pair, Pair]:
    others = [axis for axis in range(v.hi.dim()) if axis != dim]
    norm = dd.sqrt(_summed(dd.mul(v, v), others, True))
    return dd.mul(v, dd.div(g, norm)), norm


def _compared(compare: Callable[[Pair, Pair], Tensor]) -> Callable[[Number, Number], Tensor]:
    return lambda a, b: compare(_of(a), _of(b))


def _less_equal(a: Pair, b: Pair) -> Tensor:
    return ~dd.less(b, a)


RULES: dict[str, Callable[..., Any]] = {
    "abs": dd.absolute,
    "add": _add,
    "addcmul": _addcmul,
    "addmm": _addmm,
    "asinh": dd.asinh,
    "bmm": _matmul,
    "clamp": _clamp,
    "clamp_max": _minimum,
    "clamp_min": _maximum,
    "copy": lambda a, b: Pair(_of(b).hi.expand_as(a.hi), _of(b).lo.expand_as(a.lo)),
    "cos": dd.cos,
    "div": lambda a, b: dd.div(_of(a), _of(b)),
    "exp": dd.exp,
    "exp2": lambda x: dd.exp(dd.mul(x, dd.LN2)),
    "expm1": dd.expm1,
    "ge": _compared(lambda a, b: _less_equal(b, a)),
    "gt": _compared(lambda a, b: dd.less(b, a)),
    "le": _compared(_less_equal),
    "lerp": _lerp,
    "log": dd.log,
    "log10": lambda x: dd.div(dd.log(x), dd.LN10),
    "log1p": dd.log1p,
    "log2": lambda x: dd.div(dd.log(x), dd.LN2),
    "log_sigmoid_forward": _logsigmoid,
    "lt": _compared(dd.less),
    "maximum": _maximum,
    "mean": _mean,
    "minimum": _minimum,
    "mm": _matmul,
    "mul": lambda a, b: dd.mul(_of(a), _of(b)),
    "neg": dd.neg,
    "pow": _pow,
    "prod": _multiplied,
    "reciprocal": lambda x: dd.div(dd.ONE, x),
    "relu": lambda x: _maximum(x, 0.0),
    "rsqrt": lambda x: dd.div(dd.ONE, dd.sqrt(x)),
    "rsub": lambda a, b, alpha=1: _sub(b, a, alpha),
    "sigmoid": dd.sigmoid,
    "sign": lambda x: dd.exactly(torch.sign(x.hi)),
    "sin": dd.sin,
    "sinh": dd.sinh,
    "_softmax": _softmax,
    "softplus": _softplus,
    "sqrt": dd.sqrt,
    "sub": _sub,
    "sum": _summed,
    "tanh": dd.tanh,
    "_weight_norm_interface": _weight_norm,
}
