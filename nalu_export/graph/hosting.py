"""Builds the host model: the model with one module in place of each arithmetic subgraph, for a general exporter."""

import heapq
import operator
from collections.abc import Sequence
from typing import Any

from torch import fx

from nalu_export.graph.evaluation import attribute
from nalu_export.graph.module import graph_module_of
from nalu_export.graph.subgraphs import Part, inputs_of, outputs_of


def host_of(graph_module: fx.GraphModule, parts: Sequence[Part]) -> fx.GraphModule:
    """Return the host model. It computes what ``graph_module`` computes, and shares its modules and tensors.

    Args:
        graph_module: a flat graph.
        parts: its arithmetic subgraphs; none of them is the whole model.
    """
    graph = fx.Graph()
    known: dict[fx.Node, Any] = {}
    attributes: dict[str, Any] = {part.subgraph.name: part.subgraph.module for part in parts}
    # The placeholder of a subgraph has this path, so parameters below it that other nodes read need another name.
    covered = tuple(f"{name}." for name in attributes)
    for unit in _ordered(graph_module, parts):
        if isinstance(unit, Part):
            _call(graph, unit, known)
            continue
        known[unit] = graph.node_copy(unit, known.__getitem__)
        if unit.op in ("get_attr", "call_module"):
            target = str(unit.target)
            name = "shared_" + target.replace(".", "_") if target.startswith(covered) else target
            known[unit].target = name
            attributes[name] = attribute(graph_module, target)
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    used = {str(node.target) for node in graph.nodes if node.op in ("get_attr", "call_module")}
    return graph_module_of({name: value for name, value in attributes.items() if name in used}, graph, "Host")


def _ordered(graph_module: fx.GraphModule, parts: Sequence[Part]) -> list[fx.Node | Part]:
    """Return nodes and subgraphs in an order close to the model's; each comes after the values that it reads."""
    nodes = list(graph_module.graph.nodes)
    place = {node: number for number, node in enumerate(nodes)}
    owner: dict[fx.Node, fx.Node] = {node: part.region.nodes[-1] for part in parts for node in part.region.nodes}
    ends = {part.region.nodes[-1]: part for part in parts}
    waits: dict[fx.Node, set[fx.Node]] = {}
    follows: dict[fx.Node, set[fx.Node]] = {}
    for node in nodes:
        unit = owner.get(node, node)
        before = {owner.get(argument, argument) for argument in node.all_input_nodes} - {unit}
        waits.setdefault(unit, set()).update(before)
        for earlier in before:
            follows.setdefault(earlier, set()).add(unit)
    ready = [place[unit] for unit, before in waits.items() if not before]
    heapq.heapify(ready)
    ordered: list[fx.Node | Part] = []
    while ready:
        unit = nodes[heapq.heappop(ready)]
        ordered.append(ends.get(unit, unit))
        for later in follows.get(unit, ()):
            waits[later].discard(unit)
            if not waits[later]:
                heapq.heappush(ready, place[later])
    assert len(ordered) == len(waits), "a region that is not convex"
    return ordered


def _call(graph: fx.Graph, part: Part, known: dict[fx.Node, Any]) -> None:
    call = graph.call_module(part.subgraph.name, tuple(known[node] for node in inputs_of(part.region)))
    results = outputs_of(part.region)
    for place, node in enumerate(results):
        known[node] = graph.call_function(operator.getitem, (call, place)) if len(results) > 1 else call
