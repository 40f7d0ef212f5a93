"""What an artifact holds: effective weights (folded) or raw parameters (live), in the type that computes."""

import copy
from typing import Literal

import torch
from torch import fx, nn

from nalu_export.graph import PRIMITIVES, label_of, primitive_of, trace
from nalu_export.graph.trace import constant
from nalu_export.primitives.precision import COMPUTE as COMPUTE
from nalu_export.primitives.precision import Compute as Compute

Weights = Literal["folded", "live"]
WEIGHTS: tuple[Weights, ...] = ("folded", "live")


def inference_form(layer: nn.Module, weights: Weights, compute: Compute) -> fx.GraphModule:
    """The graph of an arithmetic layer as an artifact holds it: float32 at its edges, ``compute`` inside.

    Effective weights are computed in float64 and rounded once either way: while folding, or by the artifact itself
    from the float32 raw parameters (runtimes do that once, when they load the file). So live and folded artifacts
    agree to the bit wherever ``tanh`` and ``exp`` do in float64.

    Args:
        layer: an arithmetic module with float32 parameters; it is not changed.
        weights: ``"folded"`` or ``"live"``.
        compute: the type of every operation between the input and the output.

    Raises:
        UnsupportedLayerError: see :func:`nalu_export.graph.trace`.
    """
    # A copy: the traced module shares its parameters with what it was traced from.
    form = trace(copy.deepcopy(layer))
    dtype = torch.float64 if compute == "float64" else torch.float32
    if weights == "folded":
        fold(form).to(dtype)
    else:
        _widen_parameters(form, dtype)
    if compute == "float64":
        _cast_edges(form.graph)
    form.graph.lint()
    form.recompile()
    return form.eval().requires_grad_(False)


def fold(graph_module: fx.GraphModule) -> fx.GraphModule:
    """Replace whatever depends on parameters alone by one float64 constant; in place.

    Each constant is named after the first parameter that goes into it, without ``_hat``: ``layers.0.W`` from
    ``layers.0.W_hat`` and ``layers.0.M_hat``; where another value or parameter has that name, as it is called in the
    source. Raw parameters that nothing else reads are gone afterwards.
    """
    graph = graph_module.graph
    taken = {str(node.target) if node.op == "get_attr" else label_of(node): node for node in graph.nodes}
    values: dict[fx.Node, torch.Tensor] = {}
    sources: dict[fx.Node, str] = {}
    for node in _parameter_nodes(graph):
        if node.op == "get_attr":
            sources[node] = str(node.target)
            values[node] = constant(graph_module, sources[node]).detach().double()
        else:
            sources[node] = sources[node.all_input_nodes[0]]
            values[node] = node.target(*fx.node.map_arg(node.args, values.__getitem__))  # type: ignore[operator]
    folded: dict[str, torch.Tensor] = {}
    for node in _frontier(values):
        name = sources[node].replace("_hat", "")
        if taken.get(name, node) is not node:
            name = label_of(node) or sources[node]
        name = _free_name(name, folded)
        folded[name] = values[node]
        with graph.inserting_before(node):
            replacement = graph.create_node("get_attr", name)
        node.replace_all_uses_with(replacement, delete_user_cb=lambda user: user not in values)
    for node in reversed(values):
        graph.erase_node(node)
    for name in {name for name, _ in graph_module.named_parameters()} - _opaque_names(graph_module):
        path, _, leaf = name.rpartition(".")
        delattr(graph_module.get_submodule(path), leaf)
    for name, value in folded.items():
        path, _, leaf = name.rpartition(".")
        graph_module.get_submodule(path).register_buffer(leaf, value)
    return graph_module


def _parameter_nodes(graph: fx.Graph) -> list[fx.Node]:
    """The nodes that depend on parameters alone, in order."""
    found: dict[fx.Node, None] = {}
    for node in graph.nodes:
        arguments = node.all_input_nodes
        computed = primitive_of(node) is not None and arguments and all(argument in found for argument in arguments)
        if node.op == "get_attr" or computed:
            found[node] = None
    return list(found)


def _frontier(parameter_nodes: dict[fx.Node, torch.Tensor] | list[fx.Node]) -> list[fx.Node]:
    """Those of them that something else reads."""
    return [node for node in parameter_nodes if any(user not in parameter_nodes for user in node.users)]


def _opaque_names(graph_module: fx.GraphModule) -> set[str]:
    """Parameters of modules that the graph calls whole; they are not the arithmetic part's to fold."""
    called = {str(node.target) for node in graph_module.graph.nodes if node.op == "call_module"}
    return {
        f"{target}.{name}" for target in called for name, _ in graph_module.get_submodule(target).named_parameters()
    }


def _free_name(name: str, taken: dict[str, torch.Tensor]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)


def _widen_parameters(form: fx.GraphModule, dtype: torch.dtype) -> None:
    """Compute with parameters in float64 and hand the result on in ``dtype``."""
    graph = form.graph
    nodes = _parameter_nodes(graph)
    for node in _frontier(nodes):
        # A parameter that is used as it is (G) needs no detour through float64 when float32 computes.
        if dtype == torch.float64 or node.op != "get_attr":
            _insert_cast(graph, node, dtype, keep=nodes)
    for node in nodes:
        users = [user for user in node.users if user in nodes]
        if node.op == "get_attr" and users:
            _insert_cast(graph, node, torch.float64, keep=[user for user in node.users if user not in nodes])


def _cast_edges(graph: fx.Graph) -> None:
    """float64 after the input, float32 before the output."""
    for node in list(graph.nodes):
        if node.op == "placeholder":
            _insert_cast(graph, node, torch.float64, keep=[])
        elif node.op == "output":
            with graph.inserting_before(node):
                node.args = (graph.call_function(PRIMITIVES["cast"].function, (node.args[0], torch.float32)),)


def _insert_cast(graph: fx.Graph, node: fx.Node, dtype: torch.dtype, keep: list[fx.Node]) -> None:
    """Let the users of ``node`` that are not in ``keep`` read it through a cast."""
    with graph.inserting_after(node):
        wide = graph.call_function(PRIMITIVES["cast"].function, (node, dtype))
    node.replace_all_uses_with(wide, delete_user_cb=lambda user: user is not wide and user not in keep)
