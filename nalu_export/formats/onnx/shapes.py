"""Shape operations in ONNX; axes and sizes are given as in torch."""

from collections.abc import Sequence

import numpy as np

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import BOOL, INT64, alike

# As an end of a slice: the end of the axis, whatever its size.
_END = int(np.iinfo(np.int64).max)


def reshape(build: Builder, x: Value, shape: Sequence[int]) -> Value:
    """Emit a reshape; −1 is the size that is left."""
    # Without allowzero, 0 copies the size that x has at this place.
    wanted = build.literal(list(shape), INT64)
    if 0 in shape:
        return build.op("Reshape", x, wanted, rank=len(shape), allowzero=1)
    return build.op("Reshape", x, wanted, rank=len(shape))


def flatten(build: Builder, x: Value, start: int, end: int) -> Value:
    """Join the axes from ``start`` to ``end``, both included, into one."""
    if x.rank == 0:
        return reshape(build, x, [1])
    start, end = start % x.rank, end % x.rank
    if start == end:
        return x
    last = x.rank - 1
    # Flatten, because Reshape cannot infer −1 in an empty batch.
    if (start, end) == (1, last):
        return build.op("Flatten", x, rank=2, axis=1)
    if (start, end) == (0, last - 1):
        return build.op("Flatten", x, rank=2, axis=last)
    # No Shape either: ONNX Runtime computes shapes on the CPU, also in a session that must run on CUDA only. In a
    # Reshape 0 copies the size at its own place, so the axes to be joined have to come last.
    kept, joined = [*range(start), *range(end + 1, x.rank)], [*range(start, end + 1)]
    flat = build.op(
        "Reshape",
        permute(build, x, kept + joined) if end < last else x,
        build.literal([0] * len(kept) + [-1], INT64),
        rank=len(kept) + 1,
    )
    return flat if end == last else permute(build, flat, [*range(start), len(kept), *range(start, len(kept))])


def transpose(build: Builder, x: Value, dim0: int, dim1: int) -> Value:
    """Exchange two axes."""
    order = list(range(x.rank))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(build, x, order)


def permute(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    """Reorder all axes."""
    return build.op("Transpose", x, perm=[dim % x.rank for dim in dims])


def squeeze(build: Builder, x: Value, dim: int) -> Value:
    """Remove an axis of size 1."""
    return build.op("Squeeze", x, build.literal([dim], INT64), rank=x.rank - 1)


def unsqueeze(build: Builder, x: Value, dim: int) -> Value:
    """Add an axis of size 1."""
    return build.op("Unsqueeze", x, build.literal([dim], INT64), rank=x.rank + 1)


def expand(build: Builder, x: Value, size: Sequence[int]) -> Value:
    """Repeat along axes of size 1. torch's −1 (keep the size) is 1 in ONNX."""
    shape = [1 if axis == -1 else axis for axis in size]
    return build.op("Expand", x, build.literal(shape, INT64), rank=len(shape))


def cat(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    """Concatenate along an axis."""
    parts = list(tensors) if all(part.dtype == BOOL for part in tensors) else alike(build, *tensors)
    return build.op("Concat", *parts, axis=dim)


def stack(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    """Concatenate along a new axis."""
    axis = dim % (tensors[0].rank + 1)
    return cat(build, [unsqueeze(build, part, axis) for part in tensors], axis)


def slice_(build: Builder, x: Value, dim: int, start: int | None, end: int | None, step: int) -> Value:
    """Take a part of one axis."""
    given = (start or 0, _END if end is None else end, dim, step)
    return build.op("Slice", x, *(build.literal([number], INT64) for number in given), rank=x.rank)


def select(build: Builder, x: Value, dim: int, index: int) -> Value:
    """Take one place of an axis and remove the axis."""
    return build.op("Gather", x, build.literal(index, INT64), rank=x.rank - 1, axis=dim)
