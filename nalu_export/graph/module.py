"""Graph modules that generate the Python code of their graph only when they are called."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn

from nalu_export.graph.evaluation import attribute
from nalu_export.modules.copying import Detaching, in_double

M = TypeVar("M", bound=fx.GraphModule)


class LazyGraphModule(fx.GraphModule):
    """A graph module for a graph that is read node by node: generating its code takes longer than everything else.

    torch has such a class, but not a public one.
    """

    def recompile(self) -> Any:
        """Drop the code; the next call generates it again."""
        type(self).forward = _write_and_call  # each graph module has its own class


def written(graph_module: M) -> M:
    """Generate the code of the graph and return the module; tracers need the module's own ``forward``."""
    fx.GraphModule.recompile(graph_module)
    return graph_module


def _write_and_call(self: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
    return written(self).forward(*args, **kwargs)


def graph_module_of(attributes: Mapping[str, Any], graph: fx.Graph, name: str = "Arithmetic") -> LazyGraphModule:
    """Return a graph module that holds these tensors and modules at these paths."""
    root = nn.Module()
    for target, value in attributes.items():
        *path, leaf = target.split(".")
        owner = root
        for step in path:
            if not hasattr(owner, step):
                owner.add_module(step, nn.Module())
            owner = getattr(owner, step)
        if isinstance(value, nn.Parameter):
            owner.register_parameter(leaf, value)
        elif isinstance(value, Tensor):
            owner.register_buffer(leaf, value)
        else:
            owner.add_module(leaf, value)
    return LazyGraphModule(root, graph, name)


def targets_of(graph: fx.Graph) -> list[str]:
    """Return the paths of the tensors and modules that the nodes of a graph read, in order and each once."""
    return list(dict.fromkeys(str(node.target) for node in graph.nodes if node.op in ("get_attr", "call_module")))


def with_double(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Return a graph module in float64 that shares the graph: a copy of the nodes would take longer than all else.

    Callers must not change the graph.
    """
    graph = graph_module.graph
    owner = graph.owning_module
    targets = targets_of(graph)
    if any(target.startswith(f"{other}.") for target in targets for other in targets):
        return in_double(graph_module)  # a tensor of a module that is called
    with Detaching({torch.float32}, torch.float64):
        # In one piece, so that what shares a tensor still does.
        held = copy.deepcopy({target: attribute(graph_module, target) for target in targets})
    for target, value in held.items():
        if isinstance(value, nn.Module):
            value.double()
        elif isinstance(value, Tensor) and value.is_floating_point():
            held[target] = value.double()
    found = graph_module_of(held, graph, type(graph_module).__name__)
    graph.owning_module = owner
    return found
