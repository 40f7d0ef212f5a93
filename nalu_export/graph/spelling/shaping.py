"""Finds the functions that compute a weight from parameters, such as ``tanh`` and ``sigmoid``."""

from collections.abc import Collection

from torch import fx

from nalu_export.graph.spelling.names import name_of

# tanh(Ŵ)·σ(M̂), clamp(W, 0, 1), sign(W) …
SHAPING = ("tanh", "sigmoid", "clamp", "exp", "sign", "abs", "maximum", "minimum", "sin", "cos")


def shaping(node: fx.Node, names: Collection[str] = SHAPING) -> list[str]:
    """Return the functions among ``names`` that a node is computed with, each once.

    Args:
        node: a node that depends on parameters alone.
        names: names of functions.
    """
    found: dict[str, None] = {}
    waiting, seen = [node], set[fx.Node]()
    while waiting:
        current = waiting.pop()
        name = name_of(current)
        if name is not None and name in names:
            found[name] = None
        waiting += [argument for argument in current.all_input_nodes if argument not in seen]
        seen.update(current.all_input_nodes)
    return sorted(found, reverse=True)
