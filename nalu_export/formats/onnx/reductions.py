"""Reductions and matrix products in ONNX."""

from collections.abc import Callable, Sequence
from typing import Any

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.operands import BOOL, FLOAT32, INT64, alike, cast
from nalu_export.formats.onnx.opsets import axes_are_an_input


def reduction(op_type: str) -> Callable[..., Value]:
    """Return the emitter of a reduction over some axes, or over all axes."""

    def emit(build: Builder, x: Value, dim: int | Sequence[int] | None, keepdim: bool) -> Value:
        # A sum of truth values is a count.
        x = cast(build, x, FLOAT32) if x.dtype == BOOL else x
        axes = [dim] if isinstance(dim, int) else sorted(axis % x.rank for axis in dim or ())
        rank = x.rank if keepdim else x.rank - (len(axes) or x.rank)
        attributes: dict[str, Any] = {"rank": rank, "keepdims": int(keepdim)}
        if not axes:
            return build.op(op_type, x, **attributes)
        if axes_are_an_input(op_type, build.opset):
            return build.op(op_type, x, build.literal(axes, INT64), **attributes)
        return build.op(op_type, x, axes=axes, **attributes)

    return emit


def linear(build: Builder, x: Value, weight: Value, bias: Value | None) -> Value:
    """``x Wᵀ + b``."""
    given = alike(build, *[value for value in (x, weight, bias) if value is not None])
    x, weight = given[:2]
    if x.rank == 2:
        # Gemm takes W as torch stores it, (out, in); MatMul would need a transposed copy under another name. In float64
        # the bias is added by a node of its own: tract 0.23 reads Gemm's as float32 ("Tensor datum type error").
        if bias is None or x.dtype == FLOAT32:
            return build.op("Gemm", *given, transB=1)
        return build.op("Add", build.op("Gemm", x, weight, transB=1), given[2])
    product = build.op("MatMul", x, build.op("Transpose", weight, perm=[1, 0]))
    return product if bias is None else build.op("Add", product, given[2])


def matmul(build: Builder, left: Value, right: Value) -> Value:
    """Emit a matrix product of two computed values; a vector on either side is treated as in numpy."""
    vectors = (left.rank == 1) + (right.rank == 1)
    return build.op("MatMul", *alike(build, left, right), rank=max(left.rank, right.rank, 2) - vectors)
