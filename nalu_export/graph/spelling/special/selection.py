"""Choices between values: masks, the larger of two tensors, a softmax over two entries."""

from typing import Any

import torch
from torch import fx

from nalu_export.graph.spelling.special.arguments import are_numbers, arguments
from nalu_export.graph.spelling.writer import Writer


def _masked_fill(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "mask", "value")
    if found is None or writer.tensor(found["mask"]) is None:
        return NotImplemented
    return writer.emit("where", found["mask"], found["value"], found["input"])


def _index_put(writer: Writer, node: fx.Node) -> Any:
    """Write ``x[mask] = number``, which is ``index_put`` in aten."""
    found = arguments(node, "input", "indices", "values", accumulate=False)
    if found is None or found["accumulate"] or not isinstance(found["indices"], (list, tuple)):
        return NotImplemented
    mask = writer.tensor(found["indices"][0]) if len(found["indices"]) == 1 else None
    value = writer.tensor(found["values"])
    like = writer.tensor(found["input"])
    if mask is None or mask.dtype != torch.bool or value is None or value.ndim or like is None:
        return NotImplemented
    chosen = found["indices"][0]
    for _ in range(like.ndim - mask.ndim):
        chosen = writer.emit("unsqueeze", chosen, -1)
    return writer.emit("where", chosen, found["values"], found["input"])


def _where(writer: Writer, node: fx.Node) -> Any:
    """Write ``where``: the condition comes first in ``torch.where(condition, x, y)``, second as a method of ``x``."""
    order = ("input", "condition") if node.op == "call_method" else ("condition", "input")
    found = arguments(node, *order, "other")
    if found is None or writer.tensor(found["condition"]) is None:
        return NotImplemented
    return writer.emit("where", found["condition"], found["input"], found["other"])


def _larger(name: str) -> Any:
    def special(writer: Writer, node: fx.Node) -> Any:
        """Write the larger or smaller of two tensors; the form with an axis also returns indices, and stays."""
        found = arguments(node, "input", "other")
        if found is None or writer.tensor(found["other"]) is None or writer.tensor(node) is None:
            return NotImplemented
        return writer.emit(name, found["input"], found["other"])

    return special


def _softmax(writer: Writer, node: fx.Node) -> Any:
    """Write a softmax over two entries as ``σ(a − b)`` and ``σ(b − a)``; neither cancels."""
    found = arguments(node, "input", "dim", _stacklevel=3, dtype=None) or arguments(
        node, "input", dim=None, half_to_float=False
    )
    value = writer.tensor(found["input"]) if found is not None else None
    if found is None or value is None or not are_numbers([found["dim"]]):
        return NotImplemented
    dim = found["dim"] % value.ndim
    if value.shape[dim] != 2 or dim == 0:
        return NotImplemented
    first, second = (writer.emit("select", found["input"], dim, place) for place in (0, 1))
    shares = [writer.emit("sigmoid", writer.emit("sub", *pair)) for pair in ((first, second), (second, first))]
    return writer.emit("stack", shares, dim)


SPECIAL = {
    "masked_fill": _masked_fill,
    "index_put": _index_put,
    "where": _where,
    "max": _larger("maximum"),
    "min": _larger("minimum"),
    "softmax": _softmax,
    "_softmax": _softmax,
}
