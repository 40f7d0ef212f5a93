"""Indexing and splitting with constant numbers become slices and selections of single axes."""

import itertools
from typing import Any

from torch import Tensor, fx

from nalu_export.graph.spelling.special.arguments import are_numbers, arguments
from nalu_export.graph.spelling.writer import Writer


def _getitem(writer: Writer, node: fx.Node) -> Any:
    if len(node.args) != 2 or writer.tensor(node.args[0]) is None:
        return NotImplemented
    value, index = node.args
    steps = list(index) if isinstance(index, (tuple, list)) else [index]
    if not all(map(_is_plain, steps)):
        return NotImplemented
    rank = writer.rank(value)
    taken = sum(step is not None and step is not Ellipsis for step in steps)
    if Ellipsis not in steps:
        steps.append(Ellipsis)
    place = steps.index(Ellipsis)
    steps[place : place + 1] = [slice(None)] * (rank - taken)
    dim = 0
    for step in steps:
        if step is None:
            value = writer.emit("unsqueeze", value, dim)
        elif isinstance(step, slice):
            if (step.start, step.stop, step.step) != (None, None, None):
                value = writer.emit("slice", value, dim, step.start, step.stop, 1 if step.step is None else step.step)
        else:
            value = writer.emit("select", value, dim, step)
            continue
        dim += 1
    return value


def _is_plain(step: Any) -> bool:
    if isinstance(step, slice):
        return all(end is None or are_numbers([end]) for end in (step.start, step.stop, step.step))
    return step is None or step is Ellipsis or are_numbers([step])


def _slice(writer: Writer, node: fx.Node) -> Any:
    """Write ``aten.slice``; a slice of a whole axis is dropped."""
    found = arguments(node, "input", dim=0, start=None, end=None, step=1)
    if found is None or not all(end is None or are_numbers([end]) for end in (found["start"], found["end"])):
        return NotImplemented
    if found["start"] in (None, 0) and (found["end"] is None or found["end"] > 2**62) and found["step"] == 1:
        return found["input"]
    end = None if found["end"] is not None and found["end"] > 2**62 else found["end"]
    return writer.emit("slice", found["input"], found["dim"], found["start"], end, found["step"])


def _narrow(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "dim", "start", "length")
    if found is None or not are_numbers([found["start"], found["length"]]):
        return NotImplemented
    return writer.emit("slice", found["input"], found["dim"], found["start"], found["start"] + found["length"], 1)


def _select(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", "dim", "index")
    if found is None or not are_numbers([found["dim"], found["index"]]):
        return NotImplemented
    return writer.emit("select", found["input"], found["dim"], found["index"])


def _unbind(writer: Writer, node: fx.Node) -> Any:
    found = arguments(node, "input", dim=0)
    if found is None:
        return NotImplemented
    parts = writer.values.get(node)
    if not isinstance(parts, (tuple, list)) or not _splits(writer, found["input"], found["dim"]):
        return NotImplemented
    return [writer.emit("select", found["input"], found["dim"], place) for place in range(len(parts))]


def _split(writer: Writer, node: fx.Node) -> Any:
    """Write ``chunk``, ``split``, ``tensor_split`` and similar calls as slices, with the sizes of the run."""
    found = arguments(node, "input", "sizes", dim=0) or arguments(node, "input", "split_size", dim=0)
    found = (
        found or arguments(node, "input", "split_size_or_sections", dim=0) or arguments(node, "input", "chunks", dim=0)
    )
    parts = writer.values.get(node)
    if found is None or not isinstance(parts, (tuple, list)) or not _splits(writer, found["input"], found["dim"]):
        return NotImplemented
    dim = found["dim"]
    ends = list(itertools.accumulate(part.shape[dim] for part in parts))
    starts = [0, *ends[:-1]]
    return [writer.emit("slice", found["input"], dim, start, end, 1) for start, end in zip(starts, ends, strict=True)]


def _splits(writer: Writer, value: Any, dim: Any) -> bool:
    """Return whether an axis may be cut at fixed places; the samples, and height and width of an image, may not."""
    found = writer.tensor(value)
    if not isinstance(found, Tensor) or not are_numbers([dim]):
        return False
    axis = dim % found.ndim
    return writer.is_constant(value) or (axis > 0 and not (found.ndim == 4 and axis > 1))


SPECIAL = {
    "getitem": _getitem,
    "slice": _slice,
    "narrow": _narrow,
    "select": _select,
    "unbind": _unbind,
    **dict.fromkeys(("split", "chunk", "tensor_split", "split_with_sizes"), _split),
}
