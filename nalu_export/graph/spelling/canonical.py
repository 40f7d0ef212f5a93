"""Replaces the calls of a flat graph by primitives, in place."""

from typing import Any

import torch
from torch import Tensor, fx

from nalu_export.graph.evaluation import Values, evaluated
from nalu_export.graph.spelling.changes import redirect_changes, without_flag
from nalu_export.graph.spelling.fields import index_fields
from nalu_export.graph.spelling.made import keep_made
from nalu_export.graph.spelling.names import is_in_place, name_of
from nalu_export.graph.spelling.special import SPECIAL
from nalu_export.graph.spelling.special.types import CONVERSIONS
from nalu_export.graph.spelling.writer import Writer
from nalu_export.primitives import BY_FUNCTION, BY_NAME, Primitive
from nalu_export.primitives.compositions import COMPOSITIONS


def canonicalise(graph_module: fx.GraphModule, values: Values) -> None:
    """Replace every call that is a primitive or a composition by nodes of primitives; leave other calls as they are.

    A node of a primitive calls its ``function`` with positional arguments in the order of its ``parameters``.

    Args:
        graph_module: a flat graph; it is changed.
        values: values of all its nodes in one run, for their shapes and types; values of new nodes are added.
    """
    writer = Writer(graph_module, values)
    index_fields(graph_module.graph, values)
    # First, because the loop below removes copies (clone) that are changed in place.
    redirect_changes(graph_module)
    for node in list(graph_module.graph.nodes):
        _bring(node, writer)
    keep_made(graph_module, values)
    for node in graph_module.graph.nodes:
        found = values.get(node)
        if isinstance(found, Tensor) and found.dtype == torch.bool:
            node.meta["truth"] = True
        elif isinstance(found, Tensor) and not found.is_floating_point():
            node.meta["whole"] = found.dtype
    graph_module.graph.eliminate_dead_code(is_impure_node=lambda node: node.op in ("placeholder", "output"))
    graph_module.graph.lint()
    graph_module.recompile()


def _bring(node: fx.Node, writer: Writer) -> None:
    """Replace one node by primitives, if it can be; do the same for the new nodes."""
    name = name_of(node)
    if name is None or node.op not in ("call_function", "call_method") or _changes_a_parameter(node):
        return
    writer.at(node)
    if _computes_with_integers(node, writer) and name not in CONVERSIONS:
        return
    if name in SPECIAL:
        result = SPECIAL[name](writer, node)
        if result is not NotImplemented:
            writer.replace(node, result)
        return
    if not isinstance(writer.values.get(node), Tensor):
        return
    if name in COMPOSITIONS:
        composition = COMPOSITIONS[name]
        bound = composition.bind(node.args, dict(node.kwargs))
        if bound is not None and _expand(node, name, composition.function, without_flag(name, bound), writer):
            return
    primitive = BY_NAME.get(name)
    bound = primitive.bind(node.args, dict(node.kwargs)) if primitive is not None else None
    if primitive is not None and bound is not None:
        _become(node, primitive, bound)


def _become(node: fx.Node, primitive: Primitive, bound: tuple[Any, ...]) -> None:
    node.op, node.target = "call_function", primitive.function
    node.args, node.kwargs = bound, {}


def _expand(node: fx.Node, name: str, function: Any, bound: tuple[Any, ...], writer: Writer) -> bool:
    """Replace a node by the calls of a composition; return whether the composition supports the call."""
    graph = node.graph
    tracer = fx.proxy.GraphAppendingTracer(graph)
    before = set(graph.nodes)
    with graph.inserting_before(node):
        proxies: Any = fx.node.map_arg(bound, lambda argument: fx.Proxy(argument, tracer))  # type: ignore[arg-type,return-value]
        result = function(*proxies)
    new = [made for made in graph.nodes if made not in before]
    if result is NotImplemented:
        for made in reversed(new):
            graph.erase_node(made)
        return False
    for made in new:
        made.meta = dict(node.meta) | {"spelled": node.meta.get("spelled", name)}
        with torch.no_grad():
            writer.values[made] = evaluated(made, writer.graph_module, writer.values)
    for made in new:
        _bring(made, writer)
    writer.replace(node, result.node)
    return True


def _changes_a_parameter(node: fx.Node) -> bool:
    changed = node.args[0] if node.args and is_in_place(node) else None
    return isinstance(changed, fx.Node) and changed.op == "get_attr"


def _computes_with_integers(node: fx.Node, writer: Writer) -> bool:
    """Return whether a node reads integers that depend on the input; primitives do not take such integers."""
    values = [writer.tensor(argument) for argument in node.all_input_nodes if not writer.is_constant(argument)]
    return any(value is not None and not value.is_floating_point() and value.dtype != torch.bool for value in values)


def primitive_of(node: fx.Node) -> Primitive | None:
    """Return the primitive that a node calls, ``None`` for anything else."""
    if node.op != "call_function":
        return None
    primitive = BY_FUNCTION.get(node.target)  # type: ignore[arg-type]
    # A call with keyword arguments was not turned into a primitive; it is an opaque op.
    return primitive if primitive is not None and not node.kwargs else None
