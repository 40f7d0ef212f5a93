"""Runs a graph node by node and returns every intermediate value."""

from typing import Any

import torch
from torch import Tensor, fx, nn

Values = dict[fx.Node, Any]


def attribute(module: nn.Module, target: str) -> Any:
    """Return the tensor or module at a path of ``module``."""
    path, _, name = target.rpartition(".")
    return getattr(module.get_submodule(path), name)


def constant(graph_module: fx.GraphModule, target: str) -> Tensor:
    """Return the tensor that a ``get_attr`` node of ``graph_module`` reads."""
    value = attribute(graph_module, target)
    assert isinstance(value, Tensor)
    return value


def evaluated(node: fx.Node, graph_module: fx.GraphModule, values: Values) -> Any:
    """Compute the value of a node from the values of its arguments.

    Args:
        node: any node except a placeholder or an output.
        graph_module: holds the modules and tensors that nodes read.
        values: values of the nodes before it.
    """
    if node.op == "get_attr":
        return attribute(graph_module, str(node.target))
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    if node.op == "call_module":
        return graph_module.get_submodule(str(node.target))(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    assert callable(node.target)
    return node.target(*args, **kwargs)


def run(graph_module: fx.GraphModule, *inputs: Tensor) -> Values:
    """Return every value of a graph, by node; the value of the output node is the result of the graph.

    Raises:
        Exception: whatever an operation raises.
    """
    values: Values = {}
    waiting = list(inputs)
    with torch.no_grad():
        for node in graph_module.graph.nodes:
            if node.op == "placeholder":
                values[node] = waiting.pop(0) if waiting else node.args[0]
            elif node.op == "output":
                values[node] = fx.node.map_arg(node.args[0], values.__getitem__)
            else:
                values[node] = evaluated(node, graph_module, values)
    return values


def result_nodes(graph: fx.Graph) -> tuple[Any, ...]:
    """Return the nodes that a graph returns: one or several."""
    result = graph.output_node().args[0]
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def results_of(graph_module: fx.GraphModule, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the tensors that a graph returns."""
    values = run(graph_module, *inputs)
    return tuple(values[node] for node in result_nodes(graph_module.graph))
