"""Writes calls as the user wrote them, for error messages."""

from pathlib import PurePath
from typing import Any

import torch
from torch import fx

from nalu_export.graph.places import place_of


def spelling_of(node: fx.Node) -> str:
    """Return :func:`callable_of`, and for a function the names of its keyword arguments."""
    arguments = ", ".join(sorted(node.kwargs)) if node.op == "call_function" else ""
    overload = isinstance(node.target, torch._ops.OpOverload)
    return callable_of(node) + (f" with {arguments}" if arguments and not overload else "")


def callable_of(node: fx.Node) -> str:
    """Return ``torch.cumsum``, ``Tensor.cumsum`` or ``the module backbone.conv``."""
    if node.op == "call_method":
        return f"Tensor.{node.target}"
    if node.op == "call_module":
        return f"the module {node.target}"
    target: Any = node.target
    if isinstance(target, torch._ops.OpOverload):
        return f"torch.{target._schema.name.rpartition('::')[2]}"
    name = getattr(target, "__name__", str(target))
    module = getattr(target, "__module__", None) or "torch"
    module = "torch" if module.startswith(("torch._C", "_operator")) else module
    return f"{module}.{name}"


def source_of(node: fx.Node) -> str:
    """Return ``" (net.py, line 12)"``; empty if the place is unknown."""
    place = place_of(node)
    return "" if place is None else f" ({PurePath(place.file).name}, line {place.line})"
