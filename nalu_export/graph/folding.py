"""Brings a subgraph into inference form, the form of an artifact.

The artifact holds effective weights (folded) or raw parameters (live). The compute type is float32 or float64.
"""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import fx, nn

from nalu_export.graph.constants import behind_opaque, folded_names, frontier, is_parametrisation, parameter_nodes
from nalu_export.graph.evaluation import Values, attribute, evaluated
from nalu_export.graph.module import graph_module_of
from nalu_export.graph.rewrites import without_cancellation
from nalu_export.modules.copying import in_double
from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.precision import COMPUTE as COMPUTE
from nalu_export.primitives.precision import Compute as Compute

Weights = Literal["folded", "live"]
WEIGHTS: tuple[Weights, ...] = ("folded", "live")


def inference_form(module: fx.GraphModule, weights: Weights, compute: Compute) -> fx.GraphModule:
    """Return an arithmetic subgraph in inference form: float32 at its edges, ``compute`` inside.

    Effective weights are computed in float64 and rounded once. Folding does so here. A live artifact does so itself,
    from the float32 raw parameters (runtimes do it once, when they load the file). So live and folded artifacts agree
    to the bit wherever their ``tanh`` and ``exp`` agree in float64.

    Args:
        module: a graph of primitives with float32 or float64 parameters; it is not changed.
        weights: ``"folded"`` or ``"live"``.
        compute: type of every operation between the inputs and the outputs.
    """
    form = copy.deepcopy(module)
    without_cancellation(form)
    _convert_masks(form.graph, compute)
    dtype = torch.float64 if compute == "float64" else torch.float32
    if weights == "folded":
        form = fold(form).to(dtype)
    else:
        # A weight that torch computes by something other than primitives is folded in a live artifact too.
        form = _narrowed_constants(fold(form, behind_opaque(form.graph)), dtype)
        _widen_parameters(form, dtype)
    if compute == "float64":
        _cast_edges(form.graph)
    form.graph.lint()
    form.recompile()
    return form.eval().requires_grad_(False)


def fold(graph_module: fx.GraphModule, nodes: Sequence[fx.Node] | None = None) -> fx.GraphModule:
    """Return a graph in which float64 constants replace the nodes that depend on parameters alone.

    The names of the constants come from :func:`nalu_export.graph.constants.folded_names`. Parameters that only folded
    nodes read are left out.

    Args:
        graph_module: any graph module; its graph is changed, and the result shares its modules.
        nodes: the nodes to fold, in order; by default every node that depends on parameters alone.
    """
    graph = graph_module.graph
    names = folded_names(graph, nodes)
    values: Values = {}
    with torch.no_grad():
        for node in parameter_nodes(graph) if nodes is None else nodes:
            value = (
                _in_double(graph_module, node)() if is_parametrisation(node) else evaluated(node, graph_module, values)
            )
            if not node.all_input_nodes and value.is_floating_point():
                value = value.double()
            values[node] = value
    folded: dict[str, Any] = {}
    for node, name in names.items():
        folded[name] = values[node].detach()
        with graph.inserting_before(node):
            replacement = graph.create_node("get_attr", name)
        if "part" in node.meta:
            replacement.meta["part"] = node.meta["part"]
        node.replace_all_uses_with(replacement, delete_user_cb=lambda user: user not in values)
    for node in reversed(values):
        graph.erase_node(node)
    kept = [str(node.target) for node in graph.nodes if node.op in ("call_module", "get_attr")]
    held = {target: attribute(graph_module, target) for target in kept if target not in folded}
    return graph_module_of(held | folded, graph, type(graph_module).__name__)


def _convert_masks(graph: fx.Graph, compute: Compute) -> None:
    """Make masks that are used as numbers 0 and 1 of the compute type."""
    if compute == "float64":
        for node in graph.nodes:
            if node.target is PRIMITIVES["cast"].function and node.args[1] == torch.float32:
                node.args = (node.args[0], torch.float64)


def _narrowed_constants(form: fx.GraphModule, dtype: torch.dtype) -> fx.GraphModule:
    """Convert folded float64 buffers to ``dtype``; raw parameters stay as they are."""
    for module in form.modules():
        for name, value in module._buffers.items():
            if value is not None and value.dtype == torch.float64:
                module._buffers[name] = value.to(dtype)
    return form


def _in_double(graph_module: fx.GraphModule, node: fx.Node) -> nn.Module:
    """Return a float64 copy of a module that computes a weight."""
    return in_double(graph_module.get_submodule(str(node.target)))


def _widen_parameters(form: fx.GraphModule, dtype: torch.dtype) -> None:
    """Compute with parameters in float64 and convert the results to ``dtype``."""
    graph = form.graph
    nodes = parameter_nodes(graph)
    for node in frontier(nodes):
        # A parameter that is used directly (G) needs no cast to float64 and back if the compute type is float32.
        if node.op != "get_attr" or attribute(form, str(node.target)).dtype != dtype:
            _insert_cast(graph, node, dtype, keep=nodes)
    for node in nodes:
        users = [user for user in node.users if user in nodes]
        if node.op == "get_attr" and users and attribute(form, str(node.target)).dtype != torch.float64:
            _insert_cast(graph, node, torch.float64, keep=[user for user in node.users if user not in nodes])


def _cast_edges(graph: fx.Graph) -> None:
    """Insert casts to float64 after float inputs and casts to float32 before float outputs."""
    for node in list(graph.nodes):
        if node.op == "placeholder" and node.meta.get("dtype", torch.float32).is_floating_point:
            _insert_cast(graph, node, torch.float64, keep=[])
        elif node.op == "output":
            with graph.inserting_before(node):
                node.args = (fx.node.map_arg(node.args[0], lambda result: _narrowed(graph, result)),)


def _narrowed(graph: fx.Graph, node: fx.Node) -> fx.Node:
    is_float = not node.meta.get("truth") and node.meta.get("dtype", torch.float32).is_floating_point
    return graph.call_function(PRIMITIVES["cast"].function, (node, torch.float32)) if is_float else node


def _insert_cast(graph: fx.Graph, node: fx.Node, dtype: torch.dtype, keep: list[fx.Node]) -> None:
    """Make the users of ``node`` that are not in ``keep`` read it through a cast."""
    with graph.inserting_after(node):
        wide = graph.call_function(PRIMITIVES["cast"].function, (node, dtype))
    node.replace_all_uses_with(wide, delete_user_cb=lambda user: user is not wide and user not in keep)
