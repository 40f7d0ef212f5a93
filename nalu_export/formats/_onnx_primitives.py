"""What each primitive of the arithmetic graph becomes in ONNX: standard operators only."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from nalu_export.formats import _onnx_functions, _onnx_shapes
from nalu_export.formats._onnx_builder import Builder, Value
from nalu_export.formats._onnx_functions import cast
from nalu_export.graph import label_of, primitive_of
from nalu_export.graph.trace import constant

Emitter = Callable[..., Value]

_DTYPES: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
}


def _linear(build: Builder, x: Value, weight: Value, bias: Value | None) -> Value:
    if x.rank == 2:
        # Gemm takes W as torch stores it, (out, in); MatMul would need a transposed copy under another name. Its bias
        # is added apart in float64: tract 0.23 reads it as float32 there ("Tensor datum type error").
        if bias is None or x.dtype == np.float32:
            return build.op("Gemm", *[value for value in (x, weight, bias) if value is not None], transB=1)
        return build.op("Add", build.op("Gemm", x, weight, transB=1), bias)
    product = build.op("MatMul", x, build.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else build.op("Add", product, bias)


def _matmul(build: Builder, left: Value, right: Value) -> Value:
    return build.op("MatMul", left, right)


def _cast(build: Builder, x: Value, dtype: torch.dtype) -> Value:
    return cast(build, x, _DTYPES[dtype])


EMITTERS: dict[str, Emitter] = {
    **_onnx_functions.EMITTERS,
    **_onnx_shapes.EMITTERS,
    "linear": _linear,
    "matmul": _matmul,
    "cast": _cast,
}


def lower(form: fx.GraphModule, x: Value, build: Builder) -> Value:
    """Emit a well-conditioned inference form for the input ``x``; the value of its output."""
    known: dict[fx.Node, Any] = {}
    parameters = {str(node.target) for node in form.graph.nodes if node.op == "get_attr"}
    for node in form.graph.nodes:
        if node.op == "placeholder":
            known[node] = x
        elif node.op == "get_attr":
            name = str(node.target)
            known[node] = build.initializer(name, constant(form, name).detach().numpy())
        elif node.op == "output":
            result = known[node.args[0]]
            assert isinstance(result, Value)
            return result
        else:
            primitive = primitive_of(node)
            assert primitive is not None, node
            value = EMITTERS[primitive.name](build, *fx.node.map_arg(node.args, known.__getitem__))
            label = label_of(node)
            known[node] = build.called(value, label) if label and label not in parameters else value
    raise AssertionError("a graph without an output")
