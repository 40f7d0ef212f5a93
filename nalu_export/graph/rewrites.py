"""Rewrites of the arithmetic graph that keep its function and mend how it rounds."""

from typing import Any

from torch import fx

from nalu_export.graph.trace import primitive_of
from nalu_export.primitives import PRIMITIVES


def well_conditioned(graph_module: fx.GraphModule) -> fx.GraphModule:
    """``σ(z)`` becomes ``1/(1 + exp(−z))``, and ``σ(z)·a`` becomes ``a/(1 + exp(−z))``; in place.

    Runtimes' Sigmoid kernels are accurate to an absolute 1e-7 only: in ONNX Runtime σ(−18) is 0, true is 1.5e-8, and a
    gate multiplies that by numbers as large as 1e7 (ONNX Runtime issue 22557, tract issue 2618). Exp is
    accurate relative to its size, and a division rounds once where a product of a reciprocal rounds twice.
    """
    graph = graph_module.graph
    for node in list(graph.nodes):
        if _is(node, "sigmoid"):
            _replace_sigmoid(graph, node)
    graph.eliminate_dead_code()
    graph.lint()
    graph_module.recompile()
    return graph_module


def _replace_sigmoid(graph: fx.Graph, sigmoid: fx.Node) -> None:
    (z,) = sigmoid.args
    with graph.inserting_before(sigmoid):
        # σ(−z) needs exp(z), not exp(−(−z)).
        power = z.args[0] if isinstance(z, fx.Node) and _is(z, "neg") else _call(graph, "neg", z)
        denominator = _call(graph, "add", _call(graph, "exp", power), 1.0)
    for user in list(sigmoid.users):
        if _is(user, "mul"):
            left, right = user.args
            if left is right:
                continue
            numerator = right if left is sigmoid else left
            if isinstance(numerator, fx.Node):
                user.target, user.args = PRIMITIVES["div"].function, (numerator, denominator)
    if sigmoid.users:
        with graph.inserting_before(sigmoid):
            reciprocal = _call(graph, "div", 1.0, denominator)
        sigmoid.replace_all_uses_with(reciprocal)


def _call(graph: fx.Graph, name: str, *args: Any) -> fx.Node:
    return graph.call_function(PRIMITIVES[name].function, args)


def _is(node: Any, name: str) -> bool:
    primitive = primitive_of(node) if isinstance(node, fx.Node) else None
    return primitive is not None and primitive.name == name
