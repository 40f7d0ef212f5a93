"""Matrix products: a product of data with a parameter matrix becomes ``linear``, transposed if necessary."""

from typing import Any

from torch import fx

from nalu_export.graph.spelling.special.arguments import arguments
from nalu_export.graph.spelling.writer import Writer


def product(writer: Writer, left: Any, right: Any) -> Any:
    """Write ``left @ right``, as ``linear`` if the right side depends on parameters alone and the left side is data."""
    if not writer.is_constant(left) and writer.is_constant(right):
        if writer.rank(right) == 2:
            return writer.emit("linear", left, writer.emit("transpose", right, 0, 1))
        if writer.rank(right) == 1 and writer.rank(left) > 1:
            return writer.emit("squeeze", writer.emit("linear", left, writer.emit("unsqueeze", right, 0)), -1)
    if writer.rank(left) < 2 or writer.rank(right) < 2:
        return NotImplemented
    return writer.emit("matmul", left, right)


def _matmul(writer: Writer, node: fx.Node) -> Any:
    if len(node.args) + len(node.kwargs) != 2 or len(node.args) < 1:
        return NotImplemented
    left = node.args[0]
    right = node.args[1] if len(node.args) > 1 else next(iter(node.kwargs.values()))
    return product(writer, left, right)


def _addmm(writer: Writer, node: fx.Node) -> Any:
    """Write ``beta·bias + alpha·(left @ right)``."""
    found = arguments(node, "input", "mat1", "mat2", beta=1, alpha=1)
    if found is None:
        return NotImplemented
    result = product(writer, found["mat1"], found["mat2"])
    if result is NotImplemented:
        return NotImplemented
    if found["alpha"] != 1:
        result = writer.emit("mul", result, found["alpha"])
    bias = found["input"]
    if found["beta"] == 0:
        return result
    return writer.emit("add", result, bias if found["beta"] == 1 else writer.emit("mul", bias, found["beta"]))


def _linear(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "weight", bias=None)
    if found is None or writer.rank(found["weight"]) not in (1, 2):
        return NotImplemented
    if writer.rank(found["weight"]) == 2:
        return writer.emit("linear", found["input"], found["weight"], found["bias"])
    result = writer.emit("linear", found["input"], writer.emit("unsqueeze", found["weight"], 0))
    result = writer.emit("squeeze", result, -1)
    return result if found["bias"] is None else writer.emit("add", result, found["bias"])


SPECIAL = {
    "linear": _linear,
    "addmm": _addmm,
    "addmv": _addmm,
    "baddbmm": _addmm,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv", "__matmul__", "dot"), _matmul),
}
