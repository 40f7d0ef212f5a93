"""Checkpoints with pickles written by hand, instruction by instruction."""

import pickle
import struct

import pytest

from nalu_export import InputError
from nalu_export.checkpoints.container import unpack
from tests.checkpoints.files import time_limit, zip_bytes

DAMAGED = "is damaged or not a file of torch.save: its pickle "
INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"
SIXTEEN = bytes(16)


def refused(data: bytes) -> str:
    """What unpack says of a file that it does not take."""
    with time_limit(5), pytest.raises(InputError) as caught:
        unpack(data)
    return str(caught.value)


def with_program(program: bytes, **storages: bytes) -> bytes:
    """A checkpoint with this pickle, whatever it does, and these storages."""
    data = {f"archive/data/{key}": content for key, content in storages.items()}
    return zip_bytes({"archive/data.pkl": program, **data})


LEGACY_HEAD = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))


def legacy_with_program(program: bytes, **storages: bytes) -> bytes:
    """A legacy checkpoint with this pickle and these storages of float32."""
    sized = [struct.pack("<q", len(content) // 4) + content for content in storages.values()]
    return LEGACY_HEAD + program + pickle.dumps(list(storages), 2) + b"".join(sized)


def storage_program(key: str = "0", count: int = 4, kind: str = "torch FloatStorage", view: bytes = b"") -> bytes:
    """The instructions that put a storage on the stack."""
    name = b"c" + kind.replace(" ", "\n").encode() + b"\n"
    return b"(" + text("storage") + name + text(key) + text("cpu") + number(count) + view + b"tQ"


def tensor_program(storage: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The instructions that put a tensor on the stack."""
    numbers = [b"(" + b"".join(map(number, values)) + b"t" for values in (size, stride)]
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + b"".join(numbers) + b"\x89}tR"


def text(value: str) -> bytes:
    """The instruction that puts a text on the stack."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """The instruction that puts a number on the stack."""
    return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)


def name(package: str, attribute: str) -> bytes:
    """The instruction that names a function or class."""
    return f"c{package}\n{attribute}\n".encode()


def called(package: str, attribute: str, *arguments: bytes) -> bytes:
    """The instructions that call a function."""
    return name(package, attribute) + b"(" + b"".join(arguments) + b"tR"


def under(key: str, value: bytes) -> bytes:
    """A dictionary of one entry."""
    return b"}" + text(key) + value + b"s."
