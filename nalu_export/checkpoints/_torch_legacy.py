"""Reads files of ``torch.save`` before torch 1.6: pickles in a row, then the bytes of each storage."""

import struct
from typing import Any

from nalu_export.checkpoints._globals import resolve
from nalu_export.checkpoints._machine import Machine
from nalu_export.checkpoints._refusals import DAMAGED, SAVE_INSTEAD, damaged
from nalu_export.checkpoints._storage import Storage, UnfitTensorError
from nalu_export.checkpoints._torch_zip import storage_id
from nalu_export.errors import InputError
from nalu_export.io.text import short

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

_COUNT = struct.Struct("<q")


def read(data: bytes) -> Any:
    """Return the object in the file.

    The file says whether a little-endian machine wrote it, but its bytes are little-endian in both cases.

    Raises:
        InputError: the file is damaged, needs code, or is a pickle that torch did not write.
    """
    machine = Machine(data, resolve)
    magic = machine.read()
    if type(magic) is not int or magic != MAGIC:
        raise InputError("is a pickle but not a file of torch.save; use torch.save(model.state_dict(), path)")
    version = machine.read()
    if type(version) is not int or version != VERSION:
        raise InputError(f"is in version {short(version)} of the torch format, not {VERSION}; {SAVE_INSTEAD}")
    machine.read()  # sizes of C types on the machine that wrote it
    storages = _Storages(len(data))
    machine.persistent = storages
    payload = machine.read()
    machine.persistent = None
    storages.fill(machine)
    return payload


class _Storages:
    """Turns a persistent id into a storage. Its bytes come after the pickles, so they are filled in at the end.

    Args:
        limit: bytes of the file; storages that need more in total are refused before memory is allocated.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._made: dict[str, Storage] = {}
        self._views: dict[str, Storage] = {}

    def __call__(self, saved: Any) -> Storage:
        dtype, key, count, rest = storage_id(saved)
        made = self._made.setdefault(key, Storage(dtype, count, self._reserve))
        if made.dtype != dtype or made.count != count:
            raise damaged(f"gives the storage {short(key)} two types or sizes")
        if len(rest) != 1 or rest[0] is None:
            return made
        return self._view(made, rest[0])

    def _view(self, root: Storage, place: Any) -> Storage:
        """Return a slice of another storage, which early versions of torch wrote."""
        if type(place) is not tuple or len(place) != 3:
            raise damaged("refers to a part of a storage without its key, place or size")
        key, offset, count = place
        if type(key) is not str or type(offset) is not int or type(count) is not int:
            raise damaged("refers to a part of a storage without its key, place or size")
        if not (0 <= offset <= root.count and 0 <= count <= root.count - offset):
            raise damaged(f"refers to a part of the storage {short(key)} that reaches beyond it")
        start = offset * root.dtype.itemsize
        view = Storage(root.dtype, count, lambda size: memoryview(root.read())[start : start + size])
        return self._views.setdefault(key, view)

    def _reserve(self, size: int) -> bytearray:
        self._left -= size
        if self._left < 0:
            raise UnfitTensorError(f"that needs {size:,} bytes, more than the file has left; {DAMAGED}")
        return bytearray(size)

    def fill(self, machine: Machine) -> None:
        """Read the list of storages and the bytes of each: its size in elements, then the elements."""
        keys = machine.read()
        if type(keys) is not list:
            raise damaged("does not list its storages")
        filled = set()
        for key in keys:
            storage = self._made.get(key) if type(key) is str else None
            if storage is None:
                raise damaged(f"lists the storage {short(key)}, which nothing refers to")
            (count,) = _COUNT.unpack(machine.take(_COUNT.size))
            if count != storage.count:
                raise damaged(f"gives the storage {short(key)} two sizes")
            content = machine.take(storage.nbytes)
            if storage.buffer is not None:
                storage.buffer[:] = content
            filled.add(key)
        missing = [key for key, storage in self._made.items() if storage.buffer is not None and key not in filled]
        if missing:
            raise damaged(f"lacks the bytes of the storage {short(missing[0])}")
