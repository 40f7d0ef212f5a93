"""Spellings whose meaning depends on shapes, types or on what is a parameter: one function for each, by name."""

from collections.abc import Callable
from typing import Any

from torch import fx

from nalu_export.graph.spelling.special import convolutions, einsum, filled, indexing, products, selection, types, views
from nalu_export.graph.spelling.writer import Writer

# Gives the node, or the list of nodes, that takes a call's place; NotImplemented where it stays as it is.
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
