"""Lowers each primitive of an arithmetic subgraph to standard ONNX operators."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from nalu_export.formats.onnx import conditions, functions, reductions, shapes
from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import FLOAT32, FLOAT64, DType, Operand, alike, cast
from nalu_export.graph import label_of, primitive_of
from nalu_export.graph.evaluation import constant

Emitter = Callable[..., Value]

_DTYPES: dict[torch.dtype, DType] = {torch.float32: FLOAT32, torch.float64: FLOAT64}


def _unary(op_type: str) -> Emitter:
    return lambda build, x: build.op(op_type, x)


def _binary(op_type: str) -> Emitter:
    def emit(build: Builder, left: Operand, right: Operand) -> Value:
        return build.op(op_type, *alike(build, left, right))

    return emit


def _cast(build: Builder, x: Value, dtype: torch.dtype) -> Value:
    return cast(build, x, _DTYPES[dtype])


EMITTERS: dict[str, Emitter] = {
    "linear": reductions.linear,
    "matmul": reductions.matmul,
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "div": _binary("Div"),
    "neg": _unary("Neg"),
    "abs": _unary("Abs"),
    "log": _unary("Log"),
    "log1p": functions.log1p,
    "exp": _unary("Exp"),
    "expm1": functions.expm1,
    "tanh": _unary("Tanh"),
    # No "sigmoid": the well-conditioned form has none, and the Sigmoid of runtimes is not accurate enough.
    "sinh": functions.sinh,
    "asinh": functions.asinh,
    "erf": functions.erf,
    "sqrt": _unary("Sqrt"),
    "pow": _binary("Pow"),
    "sin": _unary("Sin"),
    "cos": _unary("Cos"),
    "sign": functions.sign,
    "floor": _unary("Floor"),
    "ceil": _unary("Ceil"),
    "round": _unary("Round"),
    "trunc": functions.trunc,
    "clamp": conditions.clamp,
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "gt": conditions.comparison("Greater"),
    "lt": conditions.comparison("Less"),
    "ge": conditions.comparison("GreaterOrEqual"),
    "le": conditions.comparison("LessOrEqual"),
    "eq": conditions.comparison("Equal"),
    "ne": conditions.unequal,
    "logical_and": conditions.logic("And"),
    "logical_or": conditions.logic("Or"),
    "logical_not": conditions.logic("Not"),
    "where": conditions.where,
    "sum": reductions.reduction("ReduceSum"),
    "mean": reductions.reduction("ReduceMean"),
    "amax": reductions.reduction("ReduceMax"),
    "amin": reductions.reduction("ReduceMin"),
    "prod": reductions.reduction("ReduceProd"),
    "reshape": shapes.reshape,
    "flatten": shapes.flatten,
    "transpose": shapes.transpose,
    "permute": shapes.permute,
    "squeeze": shapes.squeeze,
    "unsqueeze": shapes.unsqueeze,
    "expand": shapes.expand,
    "cat": shapes.cat,
    "stack": shapes.stack,
    "slice": shapes.slice_,
    "select": shapes.select,
    "cast": _cast,
}


def lower(form: fx.GraphModule, inputs: Sequence[Value], build: Builder) -> list[Value]:
    """Emit a well-conditioned inference form and return the values of its outputs."""
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
