"""What moves numbers, in ONNX; axes and sizes are as torch has them."""

from collections.abc import Sequence

import numpy as np

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import BOOL, INT64, alike

# The end of an axis, however long it is.
_END = int(np.iinfo(np.int64).max)


def reshape(build: Builder, x: Value, shape: Sequence[int]) -> Value:
    """−1 is what is left."""
    # In ONNX 0 would copy the size that x has there.
    wanted = build.literal(list(shape), INT64)
    if 0 in shape:
        return build.op("Reshape", x, wanted, rank=len(shape), allowzero=1)
    return build.op("Reshape", x, wanted, rank=len(shape))


def flatten(build: Builder, x: Value, start: int, end: int) -> Value:
    """The axes from ``start`` to ``end``, both included, as one."""
    if x.rank == 0:
        return reshape(build, x, [1])
    start, end = start % x.rank, end % x.rank
    if start == end:
        return x
    last = x.rank - 1
    # Not Reshape, which cannot tell what −1 is in an empty batch.
    if (start, end) == (1, last):
        return build.op("Flatten", x, rank=2, axis=1)
    if (start, end) == (0, last - 1):
        return build.op("Flatten", x, rank=2, axis=last)
    # Nor Shape: ONNX Runtime computes shapes on the CPU, also in a session that is to run on CUDA alone. A 0 copies the
    # size at its own place, so the axes that become one have to be the last.
    kept, joined = [*range(start), *range(end + 1, x.rank)], [*range(start, end + 1)]
    flat = build.op(
        "Reshape",
        permute(build, x, kept + joined) if end < last else x,
        build.literal([0] * len(kept) + [-1], INT64),
        rank=len(kept) + 1,
    )
    return flat if end == last else permute(build, flat, [*range(start), len(kept), *range(start, len(kept))])


def transpose(build: Builder, x: Value, dim0: int, dim1: int) -> Value:
    """Two axes, exchanged."""
    order = list(range(x.rank))
    if order:
        order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(build, x, order)


def permute(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    """All axes, in another order."""
    return build.op("Transpose", x, perm=[dim % x.rank for dim in dims])


def squeeze(build: Builder, x: Value, dim: int) -> Value:
    """Without an axis of size 1."""
    return build.op("Squeeze", x, build.literal([dim], INT64), rank=x.rank - 1)


def unsqueeze(build: Builder, x: Value, dim: int) -> Value:
    """With one more axis of size 1."""
    return build.op("Unsqueeze", x, build.literal([dim], INT64), rank=x.rank + 1)


def expand(build: Builder, x: Value, size: Sequence[int]) -> Value:
    """Repeated along axes of size 1; where torch says −1 ONNX says 1, which changes nothing."""
    shape = [1 if axis == -1 else axis for axis in size]
    return build.op("Expand", x, build.literal(shape, INT64), rank=len(shape))


def cat(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    """One behind the other."""
    parts = list(tensors) if all(part.dtype == BOOL for part in tensors) else alike(build, *tensors)
    return build.op("Concat", *parts, axis=dim)


def stack(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    """One behind the other along a new axis."""
    axis = dim % (tensors[0].rank + 1)
    return cat(build, [unsqueeze(build, part, axis) for part in tensors], axis)


def slice_(build: Builder, x: Value, dim: int, start: int | None, end: int | None, step: int) -> Value:
    """Part of one axis."""
    given = (start or 0, _END if end is None else end, dim, step)
    return build.op("Slice", x, *(build.literal([number], INT64) for number in given), rank=x.rank)


def select(build: Builder, x: Value, dim: int, index: int) -> Value:
    """One place of an axis, which is gone then."""
    return build.op("Gather", x, build.literal(index, INT64), rank=x.rank - 1, axis=dim)
