"""Storages of bytes, which only their tensors give a type."""

import pytest

from nalu_export.checkpoints.container import unpack
from tests.checkpoints.files import zip_bytes
from tests.checkpoints.programs import called, name, refused, storage_program, with_program


def typed_program(dtype: str, count: int) -> bytes:
    """A tensor of a storage of bytes, from its beginning."""
    storage = storage_program(count=16, kind="torch.storage UntypedStorage")
    size, stride = b"K" + bytes([count]) + b"\x85", b"K\x01\x85"
    return called("torch._utils", "_rebuild_tensor_v3", storage, b"K\x00", size, stride, b"\x89}", name("torch", dtype))


def big_endian(*programs: bytes) -> bytes:
    members = {"archive/data.pkl": b"(" + b"".join(programs) + b"t.", "archive/data/0": bytes(range(16))}
    return zip_bytes(members | {"archive/byteorder": b"big"})


def test_big_endian_bytes_of_one_width_are_swapped_once() -> None:
    short, unsigned = unpack(big_endian(typed_program("int16", 8), typed_program("uint16", 8))).payload
    assert (int(short[0]), int(unsigned[0])) == (1, 1)
    assert short[7] == 0x0E0F
    assert short.untyped_storage().data_ptr() == unsigned.untyped_storage().data_ptr()


@pytest.mark.parametrize(("first", "second"), [("int16", "int32"), ("int32", "uint8"), ("uint8", "int64")])
def test_big_endian_bytes_of_two_widths(first: str, second: str) -> None:
    said = refused(big_endian(typed_program(first, 2), typed_program(second, 2)))
    assert said == "has a tensor in big-endian bytes that another tensor reads as a type of another width"


def test_little_endian_bytes_may_be_read_as_anything() -> None:
    program = b"(" + typed_program("int16", 8) + typed_program("uint8", 16) + b"t."
    short, content = unpack(with_program(program, **{"0": bytes(range(16))})).payload
    assert (short[0], content[15]) == (0x0100, 15)
