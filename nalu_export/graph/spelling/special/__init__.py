"""Calls whose meaning depends on shapes, on types, or on which arguments are parameters: one function for each name."""

from collections.abc import Callable
from typing import Any

from torch import fx

from nalu_export.graph.spelling.special import convolutions, einsum, filled, indexing, products, selection, types, views
from nalu_export.graph.spelling.writer import Writer

# Returns the node, or the list of nodes, that replaces a call; NotImplemented to leave the call as it is.
Special = Callable[[Writer, fx.Node], Any]

SPECIAL: dict[str, Special] = {
    **products.SPECIAL,
    **einsum.SPECIAL,
    **convolutions.SPECIAL,
    **filled.SPECIAL,
    **indexing.SPECIAL,
    **views.SPECIAL,
    **types.SPECIAL,
    **selection.SPECIAL,
}
