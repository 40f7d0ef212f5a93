"""Brings the operands of an ONNX node to one type: torch converts them by itself, ONNX does not."""

from typing import Any

import numpy as np
from onnx import helper

from nalu_export.formats.onnx.builder import Builder, Value

DType = np.dtype[Any]

BOOL: DType = np.dtype(np.bool_)
INT64: DType = np.dtype(np.int64)
FLOAT32: DType = np.dtype(np.float32)
FLOAT64: DType = np.dtype(np.float64)

Operand = Value | float


def cast(build: Builder, x: Value, dtype: DType) -> Value:
    """Convert ``x`` to another type; a truth value becomes 0 or 1."""
    return x if x.dtype == dtype else build.op("Cast", x, dtype=dtype, to=helper.np_dtype_to_tensor_dtype(dtype))


def alike(build: Builder, *operands: Operand) -> list[Value]:
    """Convert all operands to the widest floating point type among them; numbers become constants."""
    dtypes = [operand.dtype for operand in operands if isinstance(operand, Value)]
    dtype = FLOAT64 if FLOAT64 in dtypes else FLOAT32
    return [
        cast(build, operand, dtype) if isinstance(operand, Value) else build.literal(operand, dtype)
        for operand in operands
    ]


def truth(build: Builder, x: Operand) -> Value:
    """Return whether ``x`` is not zero."""
    return cast(build, x, BOOL) if isinstance(x, Value) else build.literal(x != 0, BOOL)
