"""Arrays as bytes, as golden files and the programs of examples/cpp have them: a type, a shape, numbers row by row."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The number of each type, and how it is written: little-endian, a truth value as one byte that is 0 or 1.
TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("<i8"),
    5: np.dtype("?"),
}
TYPE_NAMES = ", ".join(map(str, TYPES.values()))
MAX_RANK = 16
#: Inputs, and outputs, of one model.
MAX_VALUES = 64


def code_of(dtype: np.dtype[Any]) -> int | None:
    """The number of a type, whatever its byte order; ``None`` for one that cannot be written."""
    return next((code for code, known in TYPES.items() if dtype.newbyteorder("<") == known), None)


def packed_shape(shape: tuple[int, ...]) -> bytes:
    """A rank and as many sizes."""
    return struct.pack(f"<I{len(shape)}Q", len(shape), *shape)


def packed(array: NDArray[Any], dtype: np.dtype[Any]) -> bytes:
    """The numbers alone, in this type."""
    return np.asarray(array, dtype).tobytes()


def unpacked(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of one's own, of exactly these bytes; truth values may be odd, see :func:`odd_truths`."""
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def odd_truths(array: NDArray[Any]) -> bool:
    """Whether it is of truth values and one of them is neither 0 nor 1, with which numpy does odd things."""
    return array.dtype.kind == "b" and bool((array.view(np.uint8) > 1).any())
