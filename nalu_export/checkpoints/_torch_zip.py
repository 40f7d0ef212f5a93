"""Files of ``torch.save`` since torch 1.6: a zip file of one pickle and the bytes of each storage."""

from typing import Any

from nalu_export.checkpoints._globals import StorageType, resolve
from nalu_export.checkpoints._machine import Global, Machine
from nalu_export.checkpoints._refusals import DAMAGED, damaged
from nalu_export.checkpoints._storage import Storage, UnfitTensorError
from nalu_export.checkpoints._zip import Archive
from nalu_export.errors import InputError
from nalu_export.io.text import short


def read(archive: Archive) -> Any:
    """The object in the archive.

    Raises:
        InputError: it is damaged or needs code.
    """
    pickle = archive.get("data.pkl")
    if pickle is None:
        raise InputError("is a zip file but not one of torch.save; expected a model.pt")
    return Machine(bytes(pickle), resolve, _Storages(archive)).read()


def is_big_endian(archive: Archive) -> bool:
    """Whether the bytes of an element stand with the largest first.

    Raises:
        InputError: the archive names an order that there is none of.
    """
    order = bytes(archive.get("byteorder") or b"little")
    if order not in (b"little", b"big"):
        raise InputError(f"is in the byte order {short(order[:20].decode('latin-1'))}; expected little or big")
    return order == b"big"


class _Storages:
    """Turns a persistent id into the storage that it names; the same for the same key."""

    def __init__(self, archive: Archive) -> None:
        self._archive, self._swapped = archive, is_big_endian(archive)
        self._made: dict[str, Storage] = {}

    def __call__(self, saved: Any) -> Storage:
        dtype, key, count, rest = storage_id(saved)
        if rest:
            raise damaged("refers to its bytes in a way that torch.save never does")
        if key not in self._made:
            self._made[key] = Storage(dtype, count, lambda size: self._read(key, size), swapped=self._swapped)
        made = self._made[key]
        if made.dtype != dtype or made.count != count:
            raise damaged(f"gives the storage {short(key)} two types or sizes")
        return made

    def _read(self, key: str, size: int) -> bytearray:
        record = self._archive.get(f"data/{key}")
        if record is None:
            raise UnfitTensorError(f"whose bytes, the member {short(f'data/{key}')}, are missing; {DAMAGED}")
        if len(record) != size:
            raise UnfitTensorError(
                f"that needs {size:,} bytes, but its member {short(f'data/{key}')} has {len(record):,}; {DAMAGED}"
            )
        return bytearray(record)


def storage_id(saved: Any) -> tuple[Any, str, int, tuple[Any, ...]]:
    """The dtype, key and size of ``("storage", type, key, location, size, …)``, and what is behind them.

    The location, ``cuda:0`` for example, says where the tensor was; everything is read to the CPU.
    """
    if type(saved) is not tuple or len(saved) < 5 or type(saved[0]) is not str or saved[0] != "storage":
        raise damaged("refers to something other than the bytes of a tensor")
    _, kind, key, _, count, *rest = saved
    named = isinstance(kind, Global) and isinstance(kind.value, StorageType)
    if not named or type(key) is not str or type(count) is not int or not 0 <= count < 2**58:
        raise damaged("refers to the bytes of a tensor without their type, key or size")
    return kind.value.dtype, key, count, tuple(rest)
