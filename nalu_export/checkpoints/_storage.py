"""The bytes of a file and the tensors that look into them: nothing is made before its bytes are known to be there."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._refusals import DAMAGED

# numpy's limit too. More dimensions are no weight of anything, and each costs time in every operation.
MAX_DIMENSIONS = 64

# Elements times 16 bytes, the largest element, must fit the signed 64 bits that torch counts bytes in.
MAX_ELEMENTS = 2**58

# What torch can calculate with. The others (float8, bits, quantised …) can only be stored.
READABLE = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    | {torch.complex128, torch.complex64, torch.complex32}
    | {torch.int64, torch.int32, torch.int16, torch.int8, torch.bool}
    | {torch.uint64, torch.uint32, torch.uint16, torch.uint8}
)


class UnfitTensorError(Exception):
    """A tensor that the bytes in the file do not give; the text follows the words "has <name> "."""


Reader = Callable[[int], bytearray | memoryview]


class Storage(Inert):
    """A run of bytes in a file, read when the first tensor looks into it.

    Args:
        dtype: of its elements; ``torch.uint8`` where only its tensors say.
        count: how many elements the file says that it has.
        read: gives that many bytes, writable and owned by nobody else, or raises UnfitTensorError.
        swapped: whether the bytes of each element stand in the other order, the largest first.
    """

    __slots__ = ("_bytes", "_read", "_swapped", "_typed", "_unit", "buffer", "count", "dtype")

    def __init__(self, dtype: torch.dtype, count: int, read: Reader, *, swapped: bool = False) -> None:
        super().__init__("a storage")
        self.dtype, self.count = dtype, count
        self.buffer: bytearray | memoryview | None = None
        self._read, self._swapped = read, swapped
        self._bytes: Tensor | None = None
        self._typed: dict[torch.dtype, Tensor] = {}
        self._unit = 0

    @property
    def nbytes(self) -> int:
        """The bytes that the file says that it has."""
        return self.count * self.dtype.itemsize

    def read(self) -> bytearray | memoryview:
        """Its bytes, in the order of the file."""
        if self.buffer is None:
            self.buffer = self._read(self.nbytes)
        return self.buffer

    def elements(self, dtype: torch.dtype) -> Tensor:
        """All of it as a vector; what is left over at its end is left out."""
        if dtype not in self._typed:
            buffer = self.read()
            if self._swapped:
                self._swap(buffer, dtype.itemsize // (2 if dtype.is_complex else 1))
            if self._bytes is None:
                # frombuffer refuses zero bytes; one base for all types keeps what the file shares shared.
                self._bytes = torch.frombuffer(buffer, dtype=torch.uint8) if buffer else _NOTHING
            self._typed[dtype] = self._bytes[: len(buffer) // dtype.itemsize * dtype.itemsize].view(dtype)
        return self._typed[dtype]

    def _swap(self, buffer: bytearray | memoryview, unit: int) -> None:
        if self._unit not in (0, unit):
            raise UnfitTensorError("in big-endian bytes that another tensor reads as a type of another width")
        if self._unit == 0 and unit > 1:
            whole = np.frombuffer(buffer, f"u{unit}", len(buffer) // unit)
            whole.byteswap(inplace=True)
        self._unit = unit


_NOTHING = torch.empty(0, dtype=torch.uint8)


def tensor(storage: Storage, dtype: torch.dtype, offset: Any, size: Any, stride: Any) -> Tensor | Inert:
    """A view of a storage, or :class:`Inert` where its type is not one to calculate with.

    Args:
        storage: what it looks into.
        dtype: of its elements.
        offset: of its first element, in elements.
        size: of each dimension.
        stride: from one element to the next in each dimension, in elements.

    Raises:
        UnfitTensorError: it does not lie within the storage.
    """
    _check_shape(offset, size, stride)
    if dtype not in READABLE:
        return Inert(f"a tensor of type {str(dtype).removeprefix('torch.')}")
    elements = storage.elements(dtype)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if (offset if 0 in size else last + 1) > elements.numel():
        raise UnfitTensorError(
            f"of shape {tuple(size)} and strides {tuple(stride)} at {offset}, "
            f"which reaches beyond its storage of {elements.numel():,} elements; {DAMAGED}"
        )
    return elements.as_strided(tuple(size), tuple(stride), offset)


def _check_shape(offset: Any, size: Any, stride: Any) -> None:
    ok = isinstance(size, (tuple, list)) and isinstance(stride, (tuple, list)) and len(size) == len(stride)
    if not ok or len(size) > MAX_DIMENSIONS:
        raise UnfitTensorError(f"without as many strides as sizes, of at most {MAX_DIMENSIONS}; {DAMAGED}")
    total = 1
    for number in (offset, *size, *stride):
        if type(number) is not int or not 0 <= number < MAX_ELEMENTS:
            raise UnfitTensorError(f"with a size, stride or offset that is no count of elements; {DAMAGED}")
    for length in size:
        total *= max(length, 1)
        if total >= MAX_ELEMENTS:
            raise UnfitTensorError(f"with more elements than can be counted; {DAMAGED}")
