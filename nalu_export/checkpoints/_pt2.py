"""Archives of ``torch.export.save``: the weights, without the program and without unpickling anything."""

from typing import Any

import torch
from torch import Tensor

from nalu_export.checkpoints import _torch_zip
from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._refusals import DAMAGED, SAVE_INSTEAD, unreadable
from nalu_export.checkpoints._storage import Storage, UnfitTensorError, tensor
from nalu_export.checkpoints._zip import Archive, open_archive
from nalu_export.errors import InputError
from nalu_export.io.json_text import parse
from nalu_export.io.text import short

_FOLDER = "data/weights/"
_CONFIG = "_weights_config.json"

# The numbers of torch.export's schema.
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 9: torch.complex32, 10: torch.complex64, 11: torch.complex128, 12: torch.bool,
    13: torch.bfloat16, 28: torch.uint16, 29: torch.float8_e4m3fn, 30: torch.float8_e5m2, 31: torch.float8_e4m3fnuz,
    32: torch.float8_e5m2fnuz, 33: torch.float8_e8m0fnu, 34: torch.uint32, 35: torch.uint64,
}  # fmt: skip
_STRIDED = 7
NO_LIST = "is a damaged torch.export archive: its list of weights cannot be read"


# Before 2.8 the state_dict was a torch.save file in the archive, under these names (the first without a folder).
_BEFORE = ("serialized_state_dict.pt", "serialized_state_dict.json")


def recognises(archive: Archive) -> bool:
    """Whether an archive is one of ``torch.export``, of today's or an earlier torch."""
    endings = ("/models/model.json", "archive_format", _CONFIG)
    return any(name.endswith(endings) or name in _BEFORE for name in archive.members)


def read(archive: Archive) -> Any:
    """The state_dict of the exported module, under its names in the module.

    Raises:
        InputError: it holds none or several, is damaged, or has a weight that is pickled.
    """
    folder = f"{archive.root}/{_FOLDER}"
    configs = [name for name in archive.members if name.startswith(folder) and name.endswith(_CONFIG)]
    if len(configs) > 1:
        models = ", ".join(short(name.removeprefix(folder).removesuffix(_CONFIG)) for name in configs[:3])
        raise InputError(f"is a torch.export archive of {len(configs)} models ({models}); export each to its own file")
    if configs:
        return _weights(archive, _entries(archive.members[configs[0]]))
    for name in (*_BEFORE, *(name for name in archive.members if name.startswith(folder) and name.endswith(".pt"))):
        if archive.members.get(name):
            return _torch_zip.read(open_archive(bytes(archive.members[name])))
    raise InputError(f"is a torch.export archive without weights; {SAVE_INSTEAD}")


def _entries(config: memoryview) -> dict[str, Any]:
    try:
        found = parse(bytes(config))
    except ValueError as error:
        raise unreadable(NO_LIST) from error
    entries = found.get("config") if type(found) is dict else None
    if type(entries) is not dict:
        raise unreadable(NO_LIST)
    return entries


def _weights(archive: Archive, entries: dict[str, Any]) -> dict[str, Tensor | Inert]:
    swapped = _torch_zip.is_big_endian(archive)
    storages: dict[str, Storage] = {}
    found = {}
    for name, entry in entries.items():
        try:
            found[name] = _weight(archive, entry, storages, swapped)
        except UnfitTensorError as error:
            raise InputError(f"has {short(name)} {error}") from error
        except (TypeError, KeyError) as error:
            raise unreadable(f"is a damaged torch.export archive: it does not describe {short(name)}") from error
    return found


def _need(value: Any, kind: type) -> Any:
    """A value of JSON, when it is of exactly this type: one of another could be walked or written out at any length."""
    if type(value) is not kind:
        raise TypeError(kind)
    return value


def _weight(archive: Archive, entry: Any, storages: dict[str, Storage], swapped: bool) -> Tensor | Inert:
    if _need(_need(entry, dict)["use_pickle"], bool):
        raise UnfitTensorError(f"as a pickle inside a torch.export archive; {SAVE_INSTEAD}")
    path, meta = _need(entry["path_name"], str), _need(entry["tensor_meta"], dict)
    if _need(meta["layout"], int) != _STRIDED:
        return Inert("a sparse tensor")
    member = archive.get(f"{_FOLDER}{path}")
    if member is None:
        raise UnfitTensorError(f"whose bytes, the member {short(_FOLDER + path)}, are missing; {DAMAGED}")
    if path not in storages:
        storages[path] = Storage(torch.uint8, len(member), lambda _: bytearray(member), swapped=swapped)
    offset = _need(meta["storage_offset"], dict)["as_int"]
    size, stride = (
        [_need(number, dict)["as_int"] for number in _need(meta[what], list)] for what in ("sizes", "strides")
    )
    return tensor(storages[path], _DTYPES[_need(meta["dtype"], int)], offset, size, stride)
