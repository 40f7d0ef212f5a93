"""Turns plain numbers that a graph returns into buffers, so that every result is a node."""

from typing import Any

import torch
from torch import fx

from nalu_export.graph.evaluation import result_nodes


def hold_constants(graph_module: fx.GraphModule) -> None:
    """Store the numbers that a graph returns as buffers; in place."""
    graph = graph_module.graph
    output = graph.output_node()
    kept: list[Any] = []
    for place, result in enumerate(result_nodes(graph)):
        if isinstance(result, fx.Node):
            kept.append(result)
            continue
        name = f"result_{place}"
        while hasattr(graph_module, name):
            name += "_"
        graph_module.register_buffer(name, torch.tensor(result))
        with graph.inserting_before(output):
            kept.append(graph.create_node("get_attr", name))
    output.args = (kept[0] if len(kept) == 1 else tuple(kept),)
