"""Finds the constants of a graph, the nodes that depend on parameters alone, and gives them names in a file."""

import re
from collections.abc import Collection, Sequence

from torch import fx

from nalu_export.graph.naming import free_name, label_of, part_of
from nalu_export.graph.spelling.canonical import primitive_of

# torch's old hooks compute ``weight`` from ``weight_v`` and ``weight_g``, or from ``weight_orig``.
_PIECES = re.compile(r"_(g|v|orig)$")


def parameter_nodes(graph: fx.Graph) -> list[fx.Node]:
    """Return the constants: the nodes that depend on parameters alone, in order."""
    found: dict[fx.Node, None] = {}
    for node in graph.nodes:
        arguments = node.all_input_nodes
        computed = node.op.startswith("call_") and arguments and all(a in found for a in arguments)
        if node.op == "get_attr" or computed or is_parametrisation(node):
            found[node] = None
    return list(found)


def read_by_parts(graph: fx.Graph) -> set[fx.Node]:
    """Return the constants that an arithmetic subgraph reads, directly or through other constants."""
    constants, found = set(parameter_nodes(graph)), set[fx.Node]()
    for node in reversed(graph.nodes):
        if node in constants and any(part_of(user) is not None or user in found for user in node.users):
            found.add(node)
    return found


def behind_opaque(graph: fx.Graph) -> list[fx.Node]:
    """Return the constants that are not computed by a primitive, and those that they are computed from, in order."""
    constants = parameter_nodes(graph)
    found: set[fx.Node] = set()
    for node in reversed(constants):
        opaque = node.op != "get_attr" and primitive_of(node) is None
        if opaque or any(user in found for user in node.users):
            found.add(node)
    return [node for node in constants if node in found]


def is_parametrisation(node: fx.Node) -> bool:
    """Return whether a node calls a module that computes a weight from its own parameters."""
    return node.op == "call_module" and not node.args and not node.kwargs


def frontier(nodes: Collection[fx.Node]) -> list[fx.Node]:
    """Return those of ``nodes`` that a node outside reads."""
    return [node for node in nodes if any(user not in nodes for user in node.users)]


def folded_names(graph: fx.Graph, nodes: Sequence[fx.Node] | None = None) -> dict[fx.Node, str]:
    """Return the name of each folded constant that a node outside reads.

    A constant is named after the first parameter that it depends on, without ``_hat``: ``layers.0.W`` from
    ``layers.0.W_hat`` and ``layers.0.M_hat``. A transposed matrix has the name of the matrix. If another value or
    parameter has that name, the constant has its name in the source.

    Args:
        graph: any graph.
        nodes: the nodes that are folded, in order; by default all constants.
    """
    folded = dict.fromkeys(parameter_nodes(graph) if nodes is None else nodes)
    kept = frontier(folded)
    # The name of a node that is folded away is free for the constant that replaces it.
    gone = folded.keys() - set(kept)
    taken = {label_of(node): node for node in graph.nodes if node not in gone}
    taken |= {str(node.target): node for node in graph.nodes if node.op == "get_attr"}
    sources: dict[fx.Node, str] = {}
    for node in folded:
        first = next(iter(node.all_input_nodes), None)
        # A weight that torch.nn.utils.parametrize computes has the name that the parameter would have.
        sources[node] = str(node.target).replace("parametrizations.", "") if first is None else sources[first]
        if first is not None and primitive_of(node) is None:
            sources[node] = _PIECES.sub("", sources[node])
    names: dict[fx.Node, str] = {}
    for node in kept:
        name = sources[node].replace("_hat", "")
        if taken.get(name, node) not in (node, _turned(node)):
            name = label_of(node) or sources[node]
        names[node] = free_name(name, names.values())
    return names


def _turned(node: fx.Node) -> fx.Node:
    """Return the node behind transposes; both have one name, unless both are read."""
    primitive = primitive_of(node)
    while primitive is not None and primitive.name in ("transpose", "permute"):
        node = node.args[0]  # type: ignore[assignment]
        primitive = primitive_of(node)
    return node
