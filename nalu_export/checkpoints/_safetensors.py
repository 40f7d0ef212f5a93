"""Reads safetensors files: a JSON header, then the bytes of each tensor."""

from typing import Any

import safetensors
import torch
from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._refusals import unreadable
from nalu_export.checkpoints._repetition import without_repetition
from nalu_export.checkpoints._storage import MAX_DIMENSIONS
from nalu_export.errors import InputError, first_line
from nalu_export.io.json_text import parse
from nalu_export.io.text import printable, short

# The format's own limit on its header.
MAX_HEADER = 100_000_000

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32,
    "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool, "C64": torch.complex64,
}  # fmt: skip


def recognises(data: bytes) -> bool:
    """Return whether a file begins with the size of a header and a header."""
    return len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= MAX_HEADER


def read(data: bytes) -> tuple[dict[str, Tensor | Inert], dict[str, str]]:
    """Return the tensors in the order of the header, and the metadata.

    Raises:
        InputError: the file is damaged.
    """
    try:
        # deserialize gives the tensors in an order that changes with each run.
        entries = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
        header = parse(data[8 : 8 + int.from_bytes(data[:8], "little")], _ONCE)
    except InputError:
        raise
    except Exception as error:
        if 8 + int.from_bytes(data[:8], "little") > len(data) or _is_cut(data):
            raise InputError("is a truncated safetensors file; copy or download it again") from error
        # SafetensorError for a violation of the format; otherwise an error of the JSON parser.
        raise unreadable(f"is a damaged safetensors file: {printable(first_line(error)[:200])}") from error
    tensors = {name: _tensor(name, entries[name]) for name in header if name != _METADATA}
    return tensors, header.get(_METADATA) or {}


_METADATA = "__metadata__"
_ONCE = without_repetition(unreadable, "is a damaged safetensors file: it")


def _is_cut(data: bytes) -> bool:
    """Return whether the header refers to more bytes than the file has."""
    begin = 8 + int.from_bytes(data[:8], "little")
    try:
        header = parse(data[8:begin])
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _METADATA]
        return begin + max(ends, default=0) > len(data)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return False


def _tensor(name: str, entry: dict[str, Any]) -> Tensor | Inert:
    if len(entry["shape"]) > MAX_DIMENSIONS:
        raise InputError(
            f"has {short(name)} with {len(entry['shape']):,} dimensions; at most {MAX_DIMENSIONS} are read"
        )
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        return Inert(f"a tensor of type {entry['dtype']}")
    content = bytearray(entry["data"])
    # frombuffer refuses zero bytes.
    flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
    return flat.reshape(entry["shape"])
