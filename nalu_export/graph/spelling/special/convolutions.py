"""Convolutions with an effective weight become matrix products of patches."""

import itertools
from typing import Any

from torch import fx
from torch.nn import functional as F

from nalu_export.graph.evaluation import evaluated
from nalu_export.graph.spelling.shaping import shaping
from nalu_export.graph.spelling.special.arguments import are_numbers, arguments
from nalu_export.graph.spelling.writer import Writer

# Functions that make an effective weight. A convolution whose weight is only normalised belongs to a backbone.
_EFFECTIVE = ("tanh", "sigmoid", "clamp", "sign", "sin", "cos")


def _convolution(writer: Writer, node: fx.Node) -> Any:
    """Write ``Σ_ij W[:, :, i, j]·x[:, :, i:, j:]``: join the shifted maps and multiply by the weight as a matrix."""
    found = arguments(node, "input", "weight", bias=None, stride=1, padding=0, dilation=1, groups=1)
    weight = writer.tensor(found["weight"]) if found is not None else None
    if found is None or weight is None or found["groups"] != 1 or not writer.is_constant(found["weight"]):
        return NotImplemented
    dims = weight.ndim - 2
    if writer.rank(found["input"]) != dims + 2 or not shaping(found["weight"], _EFFECTIVE):
        return NotImplemented
    strides, padding, dilations = (_each(found[name], dims) for name in ("stride", "padding", "dilation"))
    if strides is None or padding is None or dilations is None:
        return NotImplemented  # padding is a word such as "same"
    x = found["input"]
    if any(padding):
        x = _padded(writer, node, x, padding)
    kernel = weight.shape[2:]
    patches = [
        _shifted(writer, x, place, kernel, strides, dilations) for place in itertools.product(*map(range, kernel))
    ]
    columns = writer.emit("cat", patches, 1) if len(patches) > 1 else patches[0]
    last = [0, *range(2, dims + 2), 1]
    matrix = writer.emit("permute", found["weight"], last)
    matrix = writer.emit("reshape", matrix, [weight.shape[0], weight[0].numel()])
    result = writer.emit("linear", writer.emit("permute", columns, last), matrix, found["bias"])
    return writer.emit("permute", result, [0, dims + 1, *range(1, dims + 1)])


def _each(given: Any, dims: int) -> list[int] | None:
    if isinstance(given, str):
        return [0] * dims if given == "valid" else None
    values = list(given) if isinstance(given, (list, tuple)) else [given]
    values = values * dims if len(values) == 1 else values
    return values if len(values) == dims and are_numbers(values) else None


def _padded(writer: Writer, node: fx.Node, x: Any, padding: list[int]) -> fx.Node:
    """Pad a map with zeros; the pad only moves numbers and is not a primitive."""
    graph = writer.graph_module.graph
    with graph.inserting_before(node):
        padded = graph.call_function(F.pad, (x, [size for one in reversed(padding) for size in (one, one)]))
    padded.meta = dict(node.meta)
    writer.values[padded] = evaluated(padded, writer.graph_module, writer.values)
    return padded


def _shifted(
    writer: Writer, x: Any, place: tuple[int, ...], kernel: Any, strides: list[int], dilations: list[int]
) -> Any:
    """Return the entries of a map that one place of the kernel multiplies; this holds for any size of the map."""
    for axis, (at, size, stride, dilation) in enumerate(zip(place, kernel, strides, dilations, strict=True), 2):
        start, left = at * dilation, (size - 1 - at) * dilation
        if start or left or stride != 1:
            x = writer.emit("slice", x, axis, start, -left if left else None, stride)
    return x


SPECIAL = dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution)
