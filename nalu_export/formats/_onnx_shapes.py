"""Primitives that move numbers or reduce axes, in ONNX."""

from collections.abc import Callable, Sequence

import numpy as np

from nalu_export.formats._onnx_builder import Builder, Value

Emitter = Callable[..., Value]

INT64 = np.dtype(np.int64)
_LAST = 2**63 - 1
# From here on reductions other than ReduceSum take their axes as an input.
_AXES_AS_INPUT = 18


def _reduction(op_type: str, since: int = _AXES_AS_INPUT) -> Emitter:
    def emit(build: Builder, x: Value, dim: int | Sequence[int] | None, keepdim: bool) -> Value:
        dims = [dim] if isinstance(dim, int) else list(dim) if dim else list(range(x.rank))
        rank = x.rank if keepdim else x.rank - len(dims)
        if build.opset >= since:
            return build.op(op_type, x, build.literal(dims, INT64), rank=rank, keepdims=int(keepdim))
        return build.op(op_type, x, rank=rank, axes=dims, keepdims=int(keepdim))

    return emit


def _reshape(build: Builder, x: Value, shape: Sequence[int]) -> Value:
    return build.op("Reshape", x, build.literal(list(shape), INT64), rank=len(shape))


def _flatten(build: Builder, x: Value, start: int, end: int) -> Value:
    """The last axes become one; the axes before them keep their sizes, which 0 says."""
    first = start % x.rank
    assert end % x.rank == x.rank - 1
    return build.op("Reshape", x, build.literal([*[0] * first, -1], INT64), rank=first + 1)


def _transpose(build: Builder, x: Value, first: int, second: int) -> Value:
    order = list(range(x.rank))
    order[first], order[second] = order[second], order[first]
    return build.op("Transpose", x, perm=order)


def _permute(build: Builder, x: Value, dims: Sequence[int]) -> Value:
    return build.op("Transpose", x, perm=[dim % x.rank for dim in dims])


def _squeeze(build: Builder, x: Value, dim: int) -> Value:
    return build.op("Squeeze", x, build.literal([dim], INT64), rank=x.rank - 1)


def _unsqueeze(build: Builder, x: Value, dim: int) -> Value:
    return build.op("Unsqueeze", x, build.literal([dim], INT64), rank=x.rank + 1)


def _expand(build: Builder, x: Value, sizes: Sequence[int]) -> Value:
    """Where torch says −1 for a size that stays, ONNX says 1."""
    return build.op("Expand", x, build.literal([1 if size == -1 else size for size in sizes], INT64), rank=len(sizes))


def _cat(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    return build.op("Concat", *tensors, axis=dim)


def _stack(build: Builder, tensors: Sequence[Value], dim: int) -> Value:
    axis = dim % (tensors[0].rank + 1)
    return build.op("Concat", *(_unsqueeze(build, x, axis) for x in tensors), axis=axis)


def _slice(build: Builder, x: Value, dim: int, start: int | None, end: int | None, step: int) -> Value:
    ends = (start or 0, _LAST if end is None else end, dim, step)
    starts, stops, axes, steps = (build.literal([number], INT64) for number in ends)
    return build.op("Slice", x, starts, stops, axes, steps)


def _select(build: Builder, x: Value, dim: int, index: int) -> Value:
    return build.op("Gather", x, build.literal(index, INT64), rank=x.rank - 1, axis=dim)


EMITTERS: dict[str, Emitter] = {
    "sum": _reduction("ReduceSum", 13),
    "mean": _reduction("ReduceMean"),
    "amax": _reduction("ReduceMax"),
    "amin": _reduction("ReduceMin"),
    "prod": _reduction("ReduceProd"),
    "reshape": _reshape,
    "flatten": _flatten,
    "transpose": _transpose,
    "permute": _permute,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "expand": _expand,
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "select": _select,
}
