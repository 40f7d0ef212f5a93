"""Whatever is done to a file: it is read, or refused in one line, and soon."""

import functools
import struct
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from nalu_export import NAC, InputError
from nalu_export.checkpoints._instructions import HANDLERS
from nalu_export.checkpoints.container import Contents, unpack
from tests.checkpoints import files
from tests.checkpoints.programs import legacy_with_program, storage_program, tensor_program, text, with_program

Change = tuple[str, float, int, bytes]

changes = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "remove", "repeat", "swap"]),
        st.floats(0, 1),
        st.integers(0, 2**16),
        st.binary(min_size=1, max_size=9)
        | st.sampled_from([b"\xff\xff\xff\x7f", b"\x00" * 8, b"\xff" * 8, b"q\x00h\x00"]),
    ),
    min_size=1,
    max_size=4,
)


def changed(data: bytes, steps: list[Change]) -> bytes:
    for kind, where, size, content in steps:
        place = int(where * max(len(data) - 1, 0))
        if kind == "flip" and data:
            data = data[:place] + bytes([data[place] ^ (1 << size % 8)]) + data[place + 1 :]
        elif kind == "set":
            data = data[:place] + content + data[place + len(content) :]
        elif kind == "cut":
            data = data[:place]
        elif kind == "insert":
            data = data[:place] + content + data[place:]
        elif kind == "remove":
            data = data[:place] + data[place + 1 + size % 40 :]
        elif kind == "repeat":
            data = data[:place] + data[place : place + 1 + size % 60] * 2 + data[place + 1 + size % 60 :]
        elif kind == "swap":
            other = size % (len(data) + 1)
            data = data[other:] + data[:other]
    return data


def assert_safe(data: bytes) -> Contents | None:
    """Read, or refused in a line."""
    found, said = None, "nothing to say"
    with files.time_limit(5):
        try:
            found = unpack(data)
        except InputError as error:
            said = str(error)
    assert said.isprintable()
    assert 10 < len(said) < 700
    return found


def checkpoint() -> dict[str, Any]:
    """What a training loop keeps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    wide = torch.arange(12.0).reshape(3, 4)
    return {
        "epoch": 3,
        "model_state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [
            wide,
            wide.T,
            wide[1:, 2],
            wide.to(torch.bfloat16),
            torch.tensor(2**40),
            torch.ones(2).to(torch.uint16),
        ],
        "parameter": model[0].weight,
        "rest": (None, True, 1.5, b"ab", "größe", 2**70, {1: torch.Size([2])}, torch.eye(2).to_sparse()),
    }


@functools.cache
def good(kind: str) -> bytes:
    made: dict[str, Callable[[], bytes]] = {
        "zip": lambda: files.torch_bytes(checkpoint()),
        "legacy": lambda: files.torch_bytes(checkpoint(), legacy=True),
        "safetensors": lambda: safetensors.torch.save(files.nac_state() | {"i": torch.arange(3)}, {"a": "b"}),
        "torch.export": lambda: files.exported(NAC(2, 1), torch.ones(1, 2)),
        "torchscript": files.torchscript,
        "module": files.whole_module,
    }
    return made[kind]()


KINDS = ["zip", "legacy", "safetensors", "torch.export", "torchscript", "module"]
quick = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.quick(5)
@pytest.mark.parametrize("kind", KINDS)
@quick
@given(steps=changes)
def test_changed_bytes(kind: str, steps: list[Change]) -> None:
    assert_safe(changed(good(kind), steps))


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("zip", "archive/data.pkl"),
        ("zip", "archive/byteorder"),
        ("module", "archive/data.pkl"),
        ("torch.export", "archive/data/weights/model_weights_config.json"),
    ],
)
@quick
@given(steps=changes)
def test_changed_members_with_right_checksums(kind: str, member: str, steps: list[Change]) -> None:
    """Otherwise the checksum would stop nearly all that is changed in a zip file."""
    members = files.members_of(good(kind))
    assert_safe(files.zip_bytes(members | {member: changed(members[member], steps)}))


@quick
@given(steps=changes)
def test_changed_headers(steps: list[Change]) -> None:
    """A safetensors header of the right size."""
    data = good("safetensors")
    end = 8 + struct.unpack_from("<Q", data)[0]
    header = changed(data[8:end], steps)
    assert_safe(struct.pack("<Q", len(header)) + header + data[end:])


PIECES = [
    *(bytes([code]) for code, handler in enumerate(HANDLERS) if handler is not None),
    *(f"c{name}\n".encode() for name in ("torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_tensor_v3")),
    *(f"c{name}\n".encode() for name in ("torch._utils\n_rebuild_parameter", "torch._tensor\n_rebuild_from_type_v2")),
    *(f"c{name}\n".encode() for name in ("collections\nOrderedDict", "collections\nCounter", "builtins\nbytearray")),
    *(f"c{name}\n".encode() for name in ("torch\nfloat16", "torch\nSize", "_codecs\nencode", "argparse\nNamespace")),
    *(f"c{name}\n".encode() for name in ("os\nsystem", "torch\nFloatStorage", "copyreg\n_reconstructor")),
    *(
        b"K\x01",
        b"K\x00",
        b"J\xff\xff\xff\xff",
        b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
        b"q\x00",
        b"h\x00",
        b"q\x01",
        b"h\x01",
    ),
    *(
        text("a"),
        text("storage"),
        text("latin1"),
        storage_program(),
        storage_program(view=b"N"),
        storage_program("1", 8),
    ),
    *(tensor_program(storage_program(), 0, (2, 2), (2, 1)), tensor_program(storage_program(view=b"N"), 1, (3,), (1,))),
]


@pytest.mark.parametrize("legacy", [False, True])
@quick
@given(pieces=st.lists(st.sampled_from(PIECES) | st.binary(min_size=1, max_size=3), max_size=60))
def test_instructions_in_any_order(legacy: bool, pieces: list[bytes]) -> None:
    program = b"".join(pieces) + b"."
    storages = {"0": bytes(16), "1": bytes(32)}
    assert_safe(legacy_with_program(program, **storages) if legacy else with_program(program, **storages))


@pytest.mark.parametrize("prefix", [b"", b"PK\x03\x04", b"\x80\x02", b"\x10\0\0\0\0\0\0\0{", b"<html", b"\x08\x08\x12"])
@quick
@given(content=st.binary(max_size=300))
def test_any_bytes(prefix: bytes, content: bytes) -> None:
    assert_safe(prefix + content)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_changed_was_good(kind: str) -> None:
    """Or is refused for what it is, so that the changes above come as far as they can."""
    found = assert_safe(good(kind))
    assert (found is None) == (kind in ("torchscript", "module"))
