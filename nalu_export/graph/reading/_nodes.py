"""Small questions about the nodes of a graph of primitives."""

from collections.abc import Iterator
from typing import Any

from torch import fx

from nalu_export.graph.places import Call, stack_of
from nalu_export.graph.spelling.canonical import primitive_of

# They move numbers and change none.
VIEWS = ("transpose", "permute", "reshape", "flatten", "unsqueeze", "squeeze", "expand", "cast")
# Parts of a tensor, and what is put together from several.
PIECES = ("select", "slice", "stack", "cat")
SUMS = ("add", "sub")
# What makes a product of data: a sum of logarithms goes through the former, factors themselves through prod and pow.
EXPONENTIALS = ("exp", "expm1", "sinh")
# What keeps a weight in a range, wherever its parameters are.
SQUASHING = ("tanh", "sigmoid", "clamp", "sign", "sin", "cos", "maximum", "minimum", "round")
_ACTIVATIONS = (
    *("softplus", "logsigmoid", "log_sigmoid", "elu", "silu", "gelu", "mish", "selu", "celu", "softsign"),
    *("hardsigmoid", "hardswish", "tanhshrink", "softmax", "_softmax", "leaky_relu", "relu", "relu6", "hardtanh"),
)


def name_of(node: object) -> str:
    """Name of the primitive that a node stands for, empty for anything else."""
    primitive = primitive_of(node) if isinstance(node, fx.Node) else None
    return "" if primitive is None else primitive.name


def is_(node: object, *names: str) -> bool:
    """Whether a node stands for one of these primitives."""
    return name_of(node) in names


def arguments(node: object) -> list[Any]:
    """The arguments of a node, of whatever type; none of anything else."""
    return list(node.args) if isinstance(node, fx.Node) else []


def spelled(node: fx.Node) -> str:
    """Name of the function of torch that a node is part of, empty where it was written by itself."""
    return str(node.meta.get("spelled", ""))


def is_activation(node: fx.Node) -> bool:
    """Whether it is what stands between two linear layers of a network."""
    if spelled(node) in _ACTIVATIONS or is_(node, "tanh", "sigmoid"):
        return True
    return is_(node, "clamp") and arguments(node)[1:] == [0, None]


def without_views(node: fx.Node) -> fx.Node:
    """What a node shows in another shape."""
    while is_(node, *VIEWS):
        node = arguments(node)[0]
    return node


def seen_through(node: fx.Node) -> fx.Node:
    """As :func:`without_views`, and through ``stack([a, b], k)`` of which one is taken out again."""
    while True:
        node = without_views(node)
        if not is_(node, "select") or not is_(arguments(node)[0], "stack"):
            return node
        whole, _, index = arguments(node)
        node = arguments(whole)[0][index]


def readers(node: fx.Node) -> Iterator[fx.Node]:
    """What reads a node, also through views of it and through a stack of which it is taken out again."""
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
    """The innermost call of a module that is not torch's own."""
    calls = [call for call in stack_of(node) if not is_torchs(call)]
    return calls[-1] if calls else stack_of(node)[0]


def is_torchs(call: Call) -> bool:
    """Whether a call is of a layer of torch."""
    return call.type.__module__.startswith("torch.")
