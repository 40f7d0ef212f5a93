"""What each primitive of the arithmetic graph becomes in ONNX: standard operators only."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from onnx import helper
from torch import fx

from nalu_export.formats._onnx_builder import Builder, Value
from nalu_export.graph import label_of, primitive_of
from nalu_export.graph.evaluation import constant

Emitter = Callable[..., Value]

_INT64 = np.dtype(np.int64)
_DTYPES: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}


def _unary(op_type: str) -> Emitter:
    return lambda build, x: build.op(op_type, x)


def _binary(op_type: str) -> Emitter:
    def emit(build: Builder, left: Value | float, right: Value | float) -> Value:
        dtype = next(value.dtype for value in (left, right) if isinstance(value, Value))
        return build.op(op_type, *(x if isinstance(x, Value) else build.literal(x, dtype) for x in (left, right)))

    return emit


def _linear(build: Builder, x: Value, weight: Value, bias: Value | None) -> Value:
    if x.rank == 2:
        # Gemm takes W as torch stores it, (out, in); MatMul would need a transposed copy under another name. Its bias
        # is added apart in float64: tract 0.23 reads it as float32 there ("Tensor datum type error").
        if bias is None or x.dtype == np.float32:
            return build.op("Gemm", *[value for value in (x, weight, bias) if value is not None], transB=1)
        return build.op("Add", build.op("Gemm", x, weight, transB=1), bias)
    product = build.op("MatMul", x, build.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else build.op("Add", product, bias)


def _sign(build: Builder, x: Value) -> Value:
    # Not Sign: for NaN torch gives 0, runtimes give NaN or 0. Comparisons with NaN are false everywhere.
    zero = build.literal(0.0, x.dtype)
    above, below = (
        _to(build, build.op(comparison, x, zero, dtype=np.dtype(np.bool_)), x.dtype)
        for comparison in ("Greater", "Less")
    )
    return build.op("Sub", above, below)


def _clamp(build: Builder, x: Value, low: float | None, high: float | None) -> Value:
    # Not Clip: ONNX Runtime's Clip with a lower bound alone turns +inf into 3.4e38.
    if low is not None:
        x = build.op("Max", x, build.literal(low, x.dtype))
    return x if high is None else build.op("Min", x, build.literal(high, x.dtype))


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
    # Nor Asinh: sign(x)·log1p(z), z = |x| + x²/(1 + √(x² + 1)), and log1p(z) = z·log(w)/(w − 1) with w = 1 + z rounded
    # (Goldberg 1991, What every computer scientist should know about floating-point arithmetic, theorem 4). The input
    # was float32, so its square is finite.
    one = build.literal(1.0, x.dtype)
    magnitude, square = build.op("Abs", x), build.op("Mul", x, x)
    root = build.op("Sqrt", build.op("Add", square, one))
    z = build.op("Add", magnitude, build.op("Div", square, build.op("Add", one, root)))
    w = build.op("Add", one, z)
    exact = build.op("Equal", w, one, dtype=np.dtype(np.bool_))
    quotient = build.op("Div", build.op("Mul", z, build.op("Log", w)), build.op("Sub", w, one))
    return build.op("Mul", _sign(build, x), build.op("Where", exact, z, quotient, dtype=x.dtype))


def _prod(build: Builder, x: Value, dim: int, keepdim: bool) -> Value:
    rank = x.rank if keepdim else x.rank - 1
    if build.opset >= 18:
        return build.op("ReduceProd", x, build.literal([dim], _INT64), rank=rank, keepdims=int(keepdim))
    return build.op("ReduceProd", x, rank=rank, axes=[dim], keepdims=int(keepdim))


def _unsqueeze(build: Builder, x: Value, dim: int) -> Value:
    return build.op("Unsqueeze", x, build.literal([dim], _INT64), rank=x.rank + 1)


def _cast(build: Builder, x: Value, dtype: torch.dtype) -> Value:
    return _to(build, x, _DTYPES[dtype])


def _to(build: Builder, x: Value, dtype: np.dtype[Any]) -> Value:
    return build.op("Cast", x, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(dtype))


EMITTERS: dict[str, Emitter] = {
    "linear": _linear,
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "neg": _unary("Neg"),
    "abs": _unary("Abs"),
    "sign": _sign,
    "log": _unary("Log"),
    "exp": _unary("Exp"),
    "tanh": _unary("Tanh"),
    # No "sigmoid": the well-conditioned form has none, and a runtime's own is not accurate enough.
    "sinh": _sinh,
    "asinh": _asinh,
    "cos": _unary("Cos"),
    "clamp": _clamp,
    "prod": _prod,
    "unsqueeze": _unsqueeze,
    "cast": _cast,
}


def lower(form: fx.GraphModule, inputs: Sequence[Value], build: Builder) -> list[Value]:
    """Emit a well-conditioned inference form; the values of its outputs."""
    known: dict[fx.Node, Any] = {}
    waiting = list(inputs)
    parameters = {str(node.target) for node in form.graph.nodes if node.op == "get_attr"}
    for node in form.graph.nodes:
        if node.op == "placeholder":
            known[node] = waiting.pop(0)
        elif node.op == "get_attr":
            name = str(node.target)
            known[node] = build.weight(name, constant(form, name).detach().numpy())
        elif node.op == "output":
            results = node.args[0] if isinstance(node.args[0], (tuple, list)) else [node.args[0]]
            return [known[result] for result in results]
        else:
            primitive = primitive_of(node)
            assert primitive is not None, node
            value = EMITTERS[primitive.name](build, *fx.node.map_arg(node.args, known.__getitem__))
            label = label_of(node)
            known[node] = build.called(value, label) if label and label not in parameters else value
    raise AssertionError("a graph without an output")
