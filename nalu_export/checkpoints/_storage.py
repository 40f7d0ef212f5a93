"""Storages (runs of bytes in a file), and tensors that are views of them and are made only if their bytes exist."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._refusals import DAMAGED

# numpy has the same limit. No weight has more dimensions, and each dimension costs time in every operation.
MAX_DIMENSIONS = 64

# torch counts bytes in signed 64 bits, and the largest element has 16 bytes.
MAX_ELEMENTS = 2**58

# Types that torch can compute with. The others (float8, bits, quantised …) can only be stored.
READABLE = frozenset(
    {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    | {torch.complex128, torch.complex64, torch.complex32}
    | {torch.int64, torch.int32, torch.int16, torch.int8, torch.bool}
    | {torch.uint64, torch.uint32, torch.uint16, torch.uint8}
)


class UnfitTensorError(Exception):
    """The bytes in the file do not give this tensor. The text of the error follows the words "has <name> "."""


Reader = Callable[[int], bytearray | memoryview]


class Storage(Inert):
    """A run of bytes in a file, read when the first tensor needs it.

    Args:
        dtype: type of its elements; ``torch.uint8`` where only its tensors have a type.
        count: number of elements that the file claims.
        read: returns that many bytes, writable and with no other owner, or raises UnfitTensorError.
        swapped: whether the elements are big-endian.
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
        """Number of bytes that the file claims."""
        return self.count * self.dtype.itemsize

    def read(self) -> bytearray | memoryview:
        """Return its bytes, in the order of the file unless :meth:`elements` has swapped them."""
        if self.buffer is None:
            self.buffer = self._read(self.nbytes)
        return self.buffer

    def elements(self, dtype: torch.dtype) -> Tensor:
        """Return its elements as a vector, without the bytes at the end that are not a whole element."""
        if dtype not in self._typed:
            buffer = self.read()
            if self._swapped:
                self._swap(buffer, dtype.itemsize // (2 if dtype.is_complex else 1))
            if self._bytes is None:
                # frombuffer refuses zero bytes. All types are views of one base, so that tensors which share memory in
                # the file share it here.
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
    """Return a view of a storage; an :class:`Inert` if torch cannot compute with its type.

    Args:
        storage: the storage.
        dtype: type of the elements.
        offset: place of the first element, in elements.
        size: size of each dimension.
        stride: distance from one element to the next in each dimension, in elements.

    Raises:
        UnfitTensorError: the view does not lie within the storage.
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
        raise UnfitTensorError(
            f"whose sizes and strides differ in number, or are more than {MAX_DIMENSIONS}; {DAMAGED}"
        )
    total = 1
    for number in (offset, *size, *stride):
        if type(number) is not int or not 0 <= number < MAX_ELEMENTS:
            raise UnfitTensorError(f"with a size, stride or offset that is not a number of elements; {DAMAGED}")
    for length in size:
        total *= max(length, 1)
        if total >= MAX_ELEMENTS:
            raise UnfitTensorError(f"with more elements than can be counted; {DAMAGED}")
