"""Small queries on the nodes of a graph of primitives."""

from collections.abc import Iterator
from typing import Any

from torch import fx

from nalu_export.graph.places import Call, stack_of
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.graph.spelling.names import ACTIVATIONS

# Primitives that move numbers without changing them.
VIEWS = ("transpose", "permute", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "cast")
# Primitives that take a part of a tensor, or join several tensors.
PIECES = ("select", "slice", "stack", "cat")
SUMS = ("add", "sub")
# Primitives that turn a sum of logarithms into a product; prod and pow make a product of the factors themselves.
EXPONENTIALS = ("exp", "expm1", "sinh")
# Primitives that keep a weight in a range or on a grid, for any parameters.
SQUASHING = ("tanh", "sigmoid", "clamp", "sign", "sin", "cos", "maximum", "minimum", "round")


def name_of(node: object) -> str:
    """Return the name of the primitive that a node calls; empty for anything else."""
    primitive = primitive_of(node) if isinstance(node, fx.Node) else None
    return "" if primitive is None else primitive.name


def is_(node: object, *names: str) -> bool:
    """Return whether a node calls one of these primitives."""
    return name_of(node) in names


def arguments(node: object) -> list[Any]:
    """Return the arguments of a node; an empty list for anything else."""
    return list(node.args) if isinstance(node, fx.Node) else []


def spelled(node: fx.Node) -> str:
    """Return the name of the torch function that was replaced by this node and others; empty if there is none."""
    return str(node.meta.get("spelled", ""))


def is_activation(node: fx.Node) -> bool:
    """Return whether a node is an activation, as between two linear layers of a network."""
    if spelled(node) in ACTIVATIONS or is_(node, "tanh", "sigmoid"):
        return True
    return is_(node, "clamp") and arguments(node)[1:] == [0, None]


def without_views(node: fx.Node) -> fx.Node:
    """Return the node behind views."""
    while is_(node, *VIEWS):
        node = arguments(node)[0]
    return node


def seen_through(node: fx.Node) -> fx.Node:
    """Return the node behind views, and behind a ``stack([a, b], k)`` from which it is selected again."""
    while True:
        node = without_views(node)
        if not is_(node, "select") or not is_(arguments(node)[0], "stack"):
            return node
        whole, _, index = arguments(node)
        node = arguments(whole)[0][index]


def readers(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the nodes that read a node, also through views and through a stack from which it is selected again."""
    for user in node.users:
        if is_(user, *VIEWS):
            yield from readers(user)
        elif is_(user, "stack"):
            for taken in user.users:
                if is_(taken, "select") and seen_through(taken) is without_views(node):
                    yield from readers(taken)
        else:
            yield user


def layer_of(node: fx.Node) -> Call:
    """Return the innermost module call that is not of a layer of torch."""
    calls = [call for call in stack_of(node) if not is_torchs(call)]
    return calls[-1] if calls else stack_of(node)[0]


def is_torchs(call: Call) -> bool:
    """Return whether a call is of a layer of torch."""
    return call.type.__module__.startswith("torch.")
