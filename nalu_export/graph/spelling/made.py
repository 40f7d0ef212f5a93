"""Tensors that ``forward`` creates from numbers alone, such as ``torch.arange(5)``, become buffers."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx


def keep_made(graph_module: fx.GraphModule, values: Mapping[fx.Node, Any]) -> None:
    """Store such tensors as buffers; in place. torch.fx does so while it traces, torch.export does not.

    Args:
        graph_module: any graph module of a model that draws no random numbers.
        values: values of its nodes in one run.
    """
    taken = {str(node.target) for node in graph_module.graph.nodes if node.op in ("get_attr", "call_module")}
    for node in graph_module.graph.nodes:
        value = values.get(node)
        if node.op != "call_function" or node.all_input_nodes or not isinstance(value, Tensor):
            continue
        names = (f"{node.name}{'_' * count}" for count in range(len(taken) + 2))
        name = next(name for name in names if name not in taken and not hasattr(graph_module, name))
        taken.add(name)
        graph_module.register_buffer(name, value.detach().clone())
        node.op, node.target, node.args, node.kwargs = "get_attr", name, (), {}
