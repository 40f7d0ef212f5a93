"""Safetensors files, good and bad."""

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from nalu_export.checkpoints.container import Inert, unpack
from tests.checkpoints import files
from tests.checkpoints.files import safetensors_bytes
from tests.checkpoints.programs import refused

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.uint16, torch.uint32, torch.uint64, torch.complex64,
]  # fmt: skip


def entry(dtype: str = "F32", shape: Any = (2,), begin: int = 0, end: int = 8) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def cut(count: int) -> bytes:
    return save(files.nac_state())[:count]


def doubled() -> bytes:
    one = json.dumps(entry(shape=(0,), end=0)).encode()
    return safetensors_bytes(b'{"w":' + one + b',"w":' + one + b"}")


CUT = "is a truncated safetensors file; copy or download it again"
DAMAGED = "is a damaged safetensors file: "
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut in the header": (lambda: cut(20), CUT),
    "cut in the weights": (
        lambda: save(files.nac_state())[:-1],
        CUT,
    ),
    "more behind the weights": (
        lambda: save(files.nac_state()) + b"x",
        DAMAGED + "Error while deserializing: incomplete metadata, file not fully covered; copy or download it again",
    ),
    "no JSON": (
        lambda: safetensors_bytes(b"{what"),
        DAMAGED + "Error while deserializing: invalid JSON in header: key must be a string at line 1 column 2; "
        "copy or download it again",
    ),
    "not UTF-8": (
        lambda: safetensors_bytes(b'{"\xff"}'),
        DAMAGED + "Error while deserializing: invalid UTF-8 in header: invalid utf-8 sequence of 1 bytes from index 2; "
        "copy or download it again",
    ),
    "deep": (
        lambda: safetensors_bytes(b'{"w":' + b"[" * 200_000),
        DAMAGED + "Error while deserializing: invalid JSON in header: recursion limit exceeded at line 1 column 132; "
        "copy or download it again",
    ),
    "unknown type": (
        lambda: safetensors_bytes({"w": entry("F128")}, bytes(8)),
        DAMAGED + "Error while deserializing: invalid JSON in header: unknown variant `F128`, expected one of `BOOL`, "
        "`F4`, `F6_E2M3`, `F6_E3M2`, `U8`, `I8`, `F8_E5M2`, `F8_E4M3`, `F8_E8M0`, `F8_E4M3FNUZ`, `F8_E5M2FNUZ`; "
        "copy or download it again",
    ),
    "too few bytes": (
        lambda: safetensors_bytes({"w": entry(shape=(3,))}, bytes(8)),
        DAMAGED
        + "Error while deserializing: invalid shape, data type, or offset for tensor; copy or download it again",
    ),
    "offsets beyond": (
        lambda: safetensors_bytes({"w": entry(shape=(4,), end=16)}, bytes(8)),
        CUT,
    ),
    "overlapping": (
        lambda: safetensors_bytes({"w": entry(), "v": entry()}, bytes(8)),
        DAMAGED + "Error while deserializing: invalid offset for tensor `{one}`; copy or download it again",
    ),
    "overflowing shape": (
        lambda: safetensors_bytes({"w": entry(shape=(2**40, 2**40))}, bytes(8)),
        DAMAGED + "Error while deserializing: overflow computing buffer size from shape and/or element type; "
        "copy or download it again",
    ),
    "negative shape": (
        lambda: safetensors_bytes({"w": entry(shape=(-1,))}, bytes(8)),
        DAMAGED + "Error while deserializing: invalid JSON in header: invalid value: integer `-1`, expected usize "
        "at line 1 column 62; copy or download it again",
    ),
    "twice": (doubled, DAMAGED + "it has 'w' twice; copy or download it again"),
    "metadata of a number": (
        lambda: safetensors_bytes({"__metadata__": {"a": 1}}),
        DAMAGED + "Error while deserializing: invalid JSON in header: invalid type: integer `1`, expected a string "
        "at line 1 column 24; copy or download it again",
    ),
    "many dimensions": (
        lambda: safetensors_bytes({"w": entry(shape=(0,) * 65, end=0)}),
        "has 'w' with 65 dimensions; at most 64 are read",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(case: str) -> None:
    make, expected = BAD[case]
    # The library looks at tensors in no order.
    assert refused(make()) in [expected.replace("{one}", name) for name in "vw"]


def bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3), (1, 2, 3, 4)])
def test_every_type_and_shape(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    state = {"b": torch.randint(0, 2, shape).to(dtype), "a.x": torch.ones(2, dtype=dtype)}
    found = unpack(save(state))
    assert found.kind == "safetensors"
    assert set(found.payload) == set(state)
    for name, value in state.items():
        assert (found.payload[name].dtype, found.payload[name].shape) == (dtype, value.shape)
        assert bits(found.payload[name]) == bits(value)
        found.payload[name].zero_()


@pytest.mark.parametrize(
    ("dtype", "what"),
    [
        (torch.float8_e4m3fn, "a tensor of type F8_E4M3"),
        (torch.float8_e5m2, "a tensor of type F8_E5M2"),
    ],
)
def test_types_that_are_not_read_are_named(dtype: torch.dtype, what: str) -> None:
    assert unpack(save({"w": torch.zeros(2).to(dtype)})).payload == {"w": Inert(what)}


def test_metadata() -> None:
    assert unpack(save(files.nac_state(), {"author": "x", "größe": "\n"})).metadata == {"author": "x", "größe": "\n"}
    assert unpack(save(files.nac_state())).metadata == {}


@pytest.mark.parametrize("size", [0x80, 0x4B50, 0x5880, 0x8B1F])
def test_a_header_whose_size_looks_like_another_file(size: int) -> None:
    """128 is how a pickle begins, 0x4B50 is PK, 0x8B1F is gzip."""
    name = "w" * (size - len(safetensors_bytes({"": entry()})) + 8)
    data = safetensors_bytes({name: entry()}, struct.pack("<2f", 1, 2))
    assert data[:8] == struct.pack("<Q", size)
    assert torch.equal(unpack(data).payload[name], torch.tensor([1.0, 2.0]))
