"""Views: shapes that contain the size of the batch become shapes that hold for every batch."""

from typing import Any

from torch import fx

from nalu_export.graph.spelling.special.arguments import are_numbers, arguments, sizes_of
from nalu_export.graph.spelling.writer import Writer

_NAMED = {"T": (1, 0), "mT": (-2, -1), "H": (1, 0), "mH": (-2, -1)}


def _reshape(writer: Writer, node: fx.Node) -> Any:
    """Write ``x.view(x.size(0), 6)`` as ``reshape(x, (−1, 6))``, and ``x.view(x.size(0), -1)`` as a flatten."""
    value, *given = node.args
    given = given or [node.kwargs.get("shape", node.kwargs.get("size"))]
    found, result = writer.tensor(value), writer.tensor(node)
    sizes = sizes_of(given)
    if found is None or result is None or not sizes:
        return NotImplemented
    if writer.is_constant(value):
        return writer.emit("reshape", value, list(result.shape)) if are_numbers(sizes) else NotImplemented
    first, rest = sizes[0], sizes[1:]
    # The first size must be the batch: −1, or computed from the input.
    batch = result.shape[:1] == found.shape[:1] and (first == -1 or isinstance(first, fx.Node))
    if not batch or not are_numbers(rest):
        return NotImplemented
    if rest == [-1] and found.ndim > 1:
        return value if found.ndim == 2 else writer.emit("flatten", value, 1, -1)
    if -1 in rest:
        if found.ndim == 4:  # the rest may be height and width
            return NotImplemented
        rest = list(result.shape[1:])
    return writer.emit("reshape", value, [-1, *rest])


def _flatten(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", start_dim=0, end_dim=-1)
    if found is None or not are_numbers([found["start_dim"], found["end_dim"]]):
        return NotImplemented
    rank = writer.rank(found["input"])
    start, end = found["start_dim"] % max(rank, 1), found["end_dim"] % max(rank, 1)
    if start >= end:
        return found["input"] if rank else NotImplemented
    return writer.emit("flatten", found["input"], start, end)


def _squeeze(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", dim=None)
    value = writer.tensor(found["input"]) if found is not None else None
    if found is None or value is None:
        return NotImplemented
    dims = range(value.ndim) if found["dim"] is None else sizes_of([found["dim"]])
    if not are_numbers(dims):
        return NotImplemented
    gone = sorted({dim % value.ndim for dim in dims if value.shape[dim] == 1}, reverse=True)
    result = found["input"]
    for dim in gone:
        result = writer.emit("squeeze", result, dim)
    return result


def _expand(writer: Writer, node: fx.Node) -> Any:
    """Write an expand; −1 keeps an axis, for example the batch axis, whose size is computed from the input."""
    value, *given = node.args
    found, result = writer.tensor(value), writer.tensor(node)
    if found is None or result is None:
        return NotImplemented
    sizes = sizes_of(given)
    wanted: list[int] = []
    for place, size in enumerate(sizes):
        axis = place - (len(sizes) - found.ndim)
        if axis >= 0 and found.shape[axis] == result.shape[place]:
            wanted.append(-1)
        elif are_numbers([size]):
            wanted.append(size)
        else:
            return NotImplemented
    return writer.emit("expand", value, wanted)


def _expand_as(writer: Writer, node: fx.Node) -> Any:
    """Write an expand to the shape of another value, unless it changes the batch axis or an axis of an image."""
    found = arguments(node, "input", "other")
    value = writer.tensor(found["input"]) if found is not None else None
    other = writer.tensor(found["other"]) if found is not None else None
    if found is None or value is None or other is None:
        return NotImplemented
    missing = other.ndim - value.ndim
    wanted = [
        -1 if at >= missing and value.shape[at - missing] == size else size for at, size in enumerate(other.shape)
    ]
    free = wanted if other.ndim == 4 and not writer.is_constant(found["other"]) else wanted[:1]
    if any(size != -1 for size in free) and not writer.is_constant(found["other"]):
        return NotImplemented
    return writer.emit("expand", found["input"], wanted)


def _transpose(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "dim0", "dim1") or arguments(node, "input", "axis0", "axis1")
    if found is None:
        return NotImplemented
    value, first, second = found.values()
    return writer.emit("transpose", value, first, second)


def _t(writer: Writer, node: fx.Node) -> Any:
    rank = writer.rank(node.args[0])
    if rank > 2 or writer.tensor(node.args[0]) is None:
        return NotImplemented
    return writer.emit("transpose", node.args[0], 0, 1) if rank == 2 else node.args[0]


def _turned(writer: Writer, node: fx.Node) -> Any:
    """Write ``aten.mT`` and similar calls, which stand for attributes such as ``x.mT``."""
    return writer.emit("transpose", node.args[0], -2, -1) if writer.rank(node.args[0]) > 1 else NotImplemented


def _permute(writer: Writer, node: fx.Node) -> Any:
    value, *given = node.args
    dims = sizes_of(given or [node.kwargs.get("dims")])
    if writer.tensor(value) is None or not are_numbers(dims):
        return NotImplemented
    return writer.emit("permute", value, dims)


def _movedim(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "source", "destination")
    if found is None or not are_numbers([found["source"], found["destination"]]):
        return NotImplemented
    rank = writer.rank(found["input"])
    order = [axis for axis in range(rank) if axis != found["source"] % rank]
    order.insert(found["destination"] % rank, found["source"] % rank)
    return writer.emit("permute", found["input"], order)


def _attribute(writer: Writer, node: fx.Node) -> Any:
    """Write the attributes ``x.T``, ``x.mT`` and ``x.data``; ``x.shape`` stays."""
    value, name = node.args[0], str(node.args[1])
    if writer.tensor(value) is None:
        return NotImplemented
    if name == "data":
        return value
    if name in _NAMED:
        if name in ("T", "H") and writer.rank(value) != 2:
            return value if writer.rank(value) < 2 else NotImplemented
        return writer.emit("transpose", value, *_NAMED[name])
    return NotImplemented


SPECIAL = {
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "view_copy"), _reshape),
    "flatten": _flatten,
    "squeeze": _squeeze,
    "expand": _expand,
    "expand_as": _expand_as,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    **dict.fromkeys(("t", "numpy_T", "matrix_H"), _t),
    **dict.fromkeys(("mT", "mH", "adjoint"), _turned),
    "permute": _permute,
    **dict.fromkeys(("movedim", "moveaxis"), _movedim),
    "getattr": _attribute,
}
