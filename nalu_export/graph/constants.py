"""What of a graph depends on parameters alone, and what a file calls it."""

import re
from collections.abc import Collection, Sequence

from torch import fx

from nalu_export.graph.naming import label_of, part_of
from nalu_export.graph.spelling.canonical import primitive_of

# The old hooks of torch compute ``weight`` from ``weight_v`` and ``weight_g``, or from ``weight_orig``.
_PIECES = re.compile(r"_(g|v|orig)$")


def parameter_nodes(graph: fx.Graph) -> list[fx.Node]:
    """The nodes that depend on parameters alone, in order."""
    found: dict[fx.Node, None] = {}
    for node in graph.nodes:
        arguments = node.all_input_nodes
        computed = node.op.startswith("call_") and arguments and all(a in found for a in arguments)
        if node.op == "get_attr" or computed or is_parametrisation(node):
            found[node] = None
    return list(found)


def read_by_parts(graph: fx.Graph) -> set[fx.Node]:
    """Those of them that an arithmetic subgraph reads, itself or through others."""
    constants, found = set(parameter_nodes(graph)), set[fx.Node]()
    for node in reversed(graph.nodes):
        if node in constants and any(part_of(user) is not None or user in found for user in node.users):
            found.add(node)
    return found


def behind_opaque(graph: fx.Graph) -> list[fx.Node]:
    """Those of them that are no primitive, and what these are computed from, in order."""
    constants = parameter_nodes(graph)
    found: set[fx.Node] = set()
    for node in reversed(constants):
        opaque = node.op != "get_attr" and primitive_of(node) is None
        if opaque or any(user in found for user in node.users):
            found.add(node)
    return [node for node in constants if node in found]


def is_parametrisation(node: fx.Node) -> bool:
    """Whether a node calls a module that computes a weight from parameters of its own."""
    return node.op == "call_module" and not node.args and not node.kwargs


def frontier(nodes: Collection[fx.Node]) -> list[fx.Node]:
    """Those of them that something else reads."""
    return [node for node in nodes if any(user not in nodes for user in node.users)]


def folded_names(graph: fx.Graph, nodes: Sequence[fx.Node] | None = None) -> dict[fx.Node, str]:
    """What each constant that something else reads is called once it is folded.

    It is named after the first parameter that goes into it, without ``_hat``: ``layers.0.W`` from ``layers.0.W_hat``
    and ``layers.0.M_hat``, and a matrix that is read the other way round like the matrix; where another value or
    parameter has that name, as it is called in the source.

    Args:
        graph: any.
        nodes: what is folded, in order; by default everything that depends on parameters alone.
    """
    folded = dict.fromkeys(parameter_nodes(graph) if nodes is None else nodes)
    kept = frontier(folded)
    # What is folded away leaves its name to what it is folded into.
    gone = folded.keys() - set(kept)
    taken = {label_of(node): node for node in graph.nodes if node not in gone}
    taken |= {str(node.target): node for node in graph.nodes if node.op == "get_attr"}
    sources: dict[fx.Node, str] = {}
    for node in folded:
        first = next(iter(node.all_input_nodes), None)
        # What torch.nn.utils.parametrize computes is called as if it were the parameter.
        sources[node] = str(node.target).replace("parametrizations.", "") if first is None else sources[first]
        if first is not None and primitive_of(node) is None:
            sources[node] = _PIECES.sub("", sources[node])
    names: dict[fx.Node, str] = {}
    for node in kept:
        name = sources[node].replace("_hat", "")
        if taken.get(name, node) not in (node, _turned(node)):
            name = label_of(node) or sources[node]
        names[node] = _free_name(name, names.values())
    return names


def _turned(node: fx.Node) -> fx.Node:
    """The parameter that a node is the transpose of: it is called like that one, unless both are read."""
    primitive = primitive_of(node)
    while primitive is not None and primitive.name in ("transpose", "permute"):
        node = node.args[0]  # type: ignore[assignment]
        primitive = primitive_of(node)
    return node


def _free_name(name: str, taken: Collection[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name}_{k}" for k in range(2, len(taken) + 3) if f"{name}_{k}" not in taken)
