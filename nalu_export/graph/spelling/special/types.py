"""Conversions of type, and calls that return their argument unchanged."""

from typing import Any

import torch
from torch import fx

from nalu_export.graph.spelling.special.arguments import arguments
from nalu_export.graph.spelling.writer import Writer

SAME = (
    *("contiguous", "clone", "detach", "alias", "lift_fresh_copy", "lift_fresh", "requires_grad_", "positive", "pos"),
    *("identity", "cpu", "view_as_real_copy"),
)
CONVERSIONS = ("to", "float", "double", "half", "bfloat16", "type", "type_as", "_to_copy")
_DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "dropout1d", "dropout2d", "dropout3d")


def _same(writer: Writer, node: fx.Node) -> Any:
    value = node.args[0] if node.args else None
    return value if writer.tensor(value) is not None else NotImplemented


def _converted(writer: Writer, node: fx.Node) -> Any:
    """Drop conversions between floating point types; write a conversion of masks or integers to floats as a cast."""
    value = node.args[0] if node.args else None
    given, result = writer.tensor(value), writer.tensor(node)
    if given is None or result is None or not result.is_floating_point():
        return NotImplemented
    if given.is_floating_point():
        return value
    return writer.emit("cast", value, torch.float32)


def _dropout(writer: Writer, node: fx.Node) -> Any:
    """Drop a dropout that is off."""
    found = arguments(node, "input", p=0.5, training=True, inplace=False) or arguments(node, "input", "p", "train")
    if found is None or found.get("training", found.get("train")) is not False:
        return NotImplemented
    return found["input"] if writer.tensor(found["input"]) is not None else NotImplemented


SPECIAL = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(CONVERSIONS, _converted),
    **dict.fromkeys(_DROPOUTS, _dropout),
}
