"""Arrays as bytes, as golden files and the programs of examples/cpp have them: type, shape, row-major numbers."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The code of each type in a file. Numbers are little-endian; a boolean is one byte, 0 or 1.
TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    4: np.dtype("<i8"),
    5: np.dtype("?"),
}
TYPE_NAMES = ", ".join(map(str, TYPES.values()))
MAX_RANK = 16
#: Largest number of inputs of one model, and of outputs.
MAX_VALUES = 64


def code_of(dtype: np.dtype[Any]) -> int | None:
    """Return the code of a type of any byte order; ``None`` for a type that is not in :data:`TYPES`."""
    return next((code for code, known in TYPES.items() if dtype.newbyteorder("<") == known), None)


def packed_shape(shape: tuple[int, ...]) -> bytes:
    """Return a shape as bytes: its rank as a uint32, then each size as a uint64."""
    return struct.pack(f"<I{len(shape)}Q", len(shape), *shape)


def packed(array: NDArray[Any], dtype: np.dtype[Any]) -> bytes:
    """Return the numbers of an array as bytes in row-major order, converted to ``dtype``, without type and shape."""
    return np.asarray(array, dtype).tobytes()


def unpacked(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a writable array in native byte order from the bytes of :func:`packed`.

    A boolean may hold a byte other than 0 and 1, see :func:`odd_truths`.

    Raises:
        ValueError: the length of ``data`` does not fit the shape.
    """
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def odd_truths(array: NDArray[Any]) -> bool:
    """Return whether a boolean array holds a byte other than 0 and 1, with which numpy computes wrong results."""
    return array.dtype.kind == "b" and bool((array.view(np.uint8) > 1).any())
