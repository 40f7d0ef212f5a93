"""What each primitive of the arithmetic graph becomes in ONNX: standard operators only."""

from collections.abc import Callable
from typing import Any

import onnx_ir as ir
import torch
from torch import fx

from nalu_export.formats._onnx_builder import Builder, rank_of
from nalu_export.graph import primitive_of
from nalu_export.graph.trace import constant

Operand = ir.Value | float
Emitter = Callable[..., ir.Value]

_DTYPES = {torch.float32: ir.DataType.FLOAT, torch.float64: ir.DataType.DOUBLE}


def _unary(op_type: str) -> Emitter:
    return lambda build, x: build.op(op_type, x)


def _binary(op_type: str) -> Emitter:
    def emit(build: Builder, left: Operand, right: Operand) -> ir.Value:
        dtype = next(value.dtype for value in (left, right) if isinstance(value, ir.Value))
        values = [x if isinstance(x, ir.Value) else build.literal(x, dtype) for x in (left, right)]
        return build.op(op_type, *values)

    return emit


def _linear(build: Builder, x: ir.Value, weight: ir.Value, bias: ir.Value | None) -> ir.Value:
    if rank_of(x) == 2:
        # Gemm takes W as torch stores it, (out, in); MatMul would need a transposed copy under another name.
        return build.op("Gemm", *[value for value in (x, weight, bias) if value is not None], transB=1)
    product = build.op("MatMul", x, build.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else build.op("Add", product, bias)


def _sign(build: Builder, x: ir.Value) -> ir.Value:
    # Not Sign: for NaN torch gives 0, runtimes give NaN or 0. Comparisons with NaN are false everywhere.
    zero = build.literal(0.0, x.dtype)
    above, below = (
        build.op("Cast", build.op(op, x, zero, dtype=ir.DataType.BOOL), dtype=x.dtype, to=int(x.dtype))
        for op in ("Greater", "Less")
    )
    return build.op("Sub", above, below)


def _clamp(build: Builder, x: ir.Value, low: float | None, high: float | None) -> ir.Value:
    # Not Clip: ONNX Runtime's Clip with a lower bound alone turns +inf into 3.4e38.
    if low is not None:
        x = build.op("Max", x, build.literal(low, x.dtype))
    return x if high is None else build.op("Min", x, build.literal(high, x.dtype))


def _prod(build: Builder, x: ir.Value, dim: int, keepdim: bool) -> ir.Value:
    rank = rank_of(x) - (0 if keepdim else 1)
    if build.opset >= 18:
        axes = build.literal([dim], ir.DataType.INT64)
        return build.op("ReduceProd", x, axes, rank=rank, keepdims=int(keepdim))
    return build.op("ReduceProd", x, rank=rank, axes=[dim], keepdims=int(keepdim))


def _unsqueeze(build: Builder, x: ir.Value, dim: int) -> ir.Value:
    return build.op("Unsqueeze", x, build.literal([dim], ir.DataType.INT64), rank=rank_of(x) + 1)


def _cast(build: Builder, x: ir.Value, dtype: torch.dtype) -> ir.Value:
    return build.op("Cast", x, dtype=_DTYPES[dtype], to=int(_DTYPES[dtype]))


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
    "cos": _unary("Cos"),
    "clamp": _clamp,
    "prod": _prod,
    "unsqueeze": _unsqueeze,
    "cast": _cast,
}


def lower(form: fx.GraphModule, x: ir.Value, build: Builder) -> ir.Value:
    """Emit a well-conditioned inference form for the input ``x``; the value of its output."""
    known: dict[fx.Node, Any] = {}
    for node in form.graph.nodes:
        if node.op == "placeholder":
            known[node] = x
        elif node.op == "get_attr":
            name = str(node.target)
            known[node] = build.initializer(name, constant(form, name).detach().numpy())
        elif node.op == "output":
            result = known[node.args[0]]
            assert isinstance(result, ir.Value)
            return result
        else:
            primitive = primitive_of(node)
            assert primitive is not None, node
            known[node] = EMITTERS[primitive.name](build, *fx.node.map_arg(node.args, known.__getitem__))
    raise AssertionError("a graph without an output")
