"""Elementwise primitives in ONNX: standard operators, and accurate formulas where a target has no operator."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from nalu_export.formats._onnx_builder import Builder, Value

Emitter = Callable[..., Value]

BOOL = np.dtype(np.bool_)
# Below it expm1(x) is computed from a tangent; from there on exp(x) − 1 cancels no more than a bit.
_SMALL = 0.75


def unary(op_type: str) -> Emitter:
    """One operator of one argument."""
    return lambda build, x: build.op(op_type, x)


def binary(op_type: str, dtype: np.dtype[Any] | None = None) -> Emitter:
    """One operator of two arguments, either of which may be a number; ``dtype`` of the result, where it is another."""

    def emit(build: Builder, left: Value | float, right: Value | float) -> Value:
        return build.op(op_type, *operands(build, left, right), dtype=dtype)

    return emit


def operands(build: Builder, *values: Value | float) -> list[Value]:
    """The values, numbers in the type of those that are none; a mask among numbers is 0 and 1."""
    kinds = [value.dtype for value in values if isinstance(value, Value)]
    dtype = next((kind for kind in kinds if kind != BOOL), kinds[0])
    if dtype == BOOL and any(not isinstance(value, Value) for value in values):
        dtype = np.dtype(np.float32)
    return [
        build.literal(value, dtype)
        if not isinstance(value, Value)
        else value
        if value.dtype == dtype
        else cast(build, value, dtype)
        for value in values
    ]


def cast(build: Builder, x: Value, dtype: np.dtype[Any]) -> Value:
    """The value in another type."""
    return build.op("Cast", x, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(dtype))


def _not_equal(build: Builder, left: Value | float, right: Value | float) -> Value:
    return build.op("Not", binary("Equal", BOOL)(build, left, right))


def _where(build: Builder, condition: Value, left: Value | float, right: Value | float) -> Value:
    if isinstance(left, Value) or isinstance(right, Value):
        first, second = operands(build, left, right)
    else:
        first, second = (build.literal(number, np.dtype(np.float32)) for number in (left, right))
    return build.op("Where", condition, first, second, dtype=first.dtype)


def _sign(build: Builder, x: Value) -> Value:
    # Not Sign: for NaN torch gives 0, runtimes give NaN or 0. Comparisons with NaN are false everywhere.
    zero = build.literal(0.0, x.dtype)
    above, below = (
        cast(build, build.op(comparison, x, zero, dtype=BOOL), x.dtype) for comparison in ("Greater", "Less")
    )
    return build.op("Sub", above, below)


def _trunc(build: Builder, x: Value) -> Value:
    return build.op("Mul", _sign(build, x), build.op("Floor", build.op("Abs", x)))


def _clamp(build: Builder, x: Value, low: float | None, high: float | None) -> Value:
    # Not Clip: ONNX Runtime's Clip with a lower bound alone turns +inf into 3.4e38.
    if low is not None:
        x = build.op("Max", x, build.literal(low, x.dtype))
    return x if high is None else build.op("Min", x, build.literal(high, x.dtype))


def _log1p(build: Builder, x: Value) -> Value:
    """``x·log(w)/(w − 1)`` with ``w = 1 + x`` rounded, and ``x`` itself where ``w`` is 1 or infinite.

    Goldberg 1991, What every computer scientist should know about floating-point arithmetic, theorem 4.
    """
    one = build.literal(1.0, x.dtype)
    w = build.op("Add", x, one)
    exact = build.op("Equal", w, one, dtype=BOOL)
    # 0/0 is not chosen, but an infinity minus 1 is; log(∞) is right there.
    logarithm = build.op("Log", w)
    quotient = build.op("Mul", x, build.op("Div", logarithm, build.op("Sub", w, one)))
    endless = build.op("Equal", build.op("Sub", w, one), w, dtype=BOOL)
    return build.op("Where", exact, x, build.op("Where", endless, logarithm, quotient, dtype=x.dtype), dtype=x.dtype)


def _expm1(build: Builder, x: Value) -> Value:
    """``2t/(1 − t)`` with ``t = tanh(x/2)`` for small ``x``, else ``exp(x) − 1``."""
    one, two = build.literal(1.0, x.dtype), build.literal(2.0, x.dtype)
    small = build.op("Less", build.op("Abs", x), build.literal(_SMALL, x.dtype), dtype=BOOL)
    t = build.op("Tanh", build.op("Mul", x, build.literal(0.5, x.dtype)))
    near = build.op("Div", build.op("Mul", two, t), build.op("Sub", one, t))
    return build.op("Where", small, near, build.op("Sub", build.op("Exp", x), one), dtype=x.dtype)


def _sinh(build: Builder, x: Value) -> Value:
    if x.dtype == np.float32:
        return build.op("Sinh", x)
    # ONNX Runtime has no Sinh in float64: tanh(x)·cosh(x), which does not cancel near 0.
    half = build.literal(0.5, x.dtype)
    cosh = build.op("Mul", build.op("Add", build.op("Exp", x), build.op("Exp", build.op("Neg", x))), half)
    return build.op("Mul", build.op("Tanh", x), cosh)


def _asinh(build: Builder, x: Value) -> Value:
    if x.dtype == np.float32:
        return build.op("Asinh", x)
    # Nor Asinh: sign(x)·log1p(z), z = |x| + x²/(1 + √(x² + 1)). The input was float32, so its square is finite.
    one = build.literal(1.0, x.dtype)
    magnitude, square = build.op("Abs", x), build.op("Mul", x, x)
    root = build.op("Sqrt", build.op("Add", square, one))
    z = build.op("Add", magnitude, build.op("Div", square, build.op("Add", one, root)))
    return build.op("Mul", _sign(build, x), _log1p(build, z))


EMITTERS: dict[str, Emitter] = {
    "add": binary("Add"),
    "sub": binary("Sub"),
    "mul": binary("Mul"),
    "div": binary("Div"),
    "neg": unary("Neg"),
    "abs": unary("Abs"),
    "sign": _sign,
    "floor": unary("Floor"),
    "ceil": unary("Ceil"),
    "round": unary("Round"),
    "trunc": _trunc,
    "sqrt": unary("Sqrt"),
    "pow": binary("Pow"),
    "log": unary("Log"),
    "exp": unary("Exp"),
    "log1p": _log1p,
    "expm1": _expm1,
    "tanh": unary("Tanh"),
    # No "sigmoid": the well-conditioned form has none, and a runtime's own is not accurate enough.
    "sinh": _sinh,
    "asinh": _asinh,
    "sin": unary("Sin"),
    "cos": unary("Cos"),
    "clamp": _clamp,
    "maximum": binary("Max"),
    "minimum": binary("Min"),
    "gt": binary("Greater", BOOL),
    "lt": binary("Less", BOOL),
    "ge": binary("GreaterOrEqual", BOOL),
    "le": binary("LessOrEqual", BOOL),
    "eq": binary("Equal", BOOL),
    "ne": _not_equal,
    "logical_and": binary("And"),
    "logical_or": binary("Or"),
    "logical_not": unary("Not"),
    "where": _where,
}
