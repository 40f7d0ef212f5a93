"""Changes to good files that leave what is around them whole, so that readers get deep into them."""

import contextlib
import io
import json
import pickletools
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import onnx

from tests.checkpoints.files import zip_bytes
from tests.hostile.wire import EMPTY, field

ODD_NUMBERS = (
    -1, 0, 1, 2, 3, 7, 63, 64, 65, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**62, 2**63 - 1,
    2**63, 2**64, 10**30, -(2**31), -(2**63),
)  # fmt: skip
ODD_TEXTS = (
    "", "W_hat", "M_hat", "G", "W", "nac.W_hat", "layers.0.W_hat", "model.0.G", "state_dict", "model", "module.",
    "\x1b[2J", "\n", "\0", "../../x", "__class__", "forward", 'x"; import os', "é", "\u202e", "a" * 300, "nalu_export",
)  # fmt: skip
ODD_NAMES = (
    "os system", "posix system", "builtins eval", "builtins exec", "builtins getattr", "builtins open",
    "subprocess Popen", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "torch FloatStorage",
    "torch._tensor _rebuild_from_type_v2", "torch Size", "collections OrderedDict", "collections defaultdict",
    "numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype", "_codecs encode", "builtins bytearray",
    "builtins set", "torch._utils _rebuild_sparse_tensor", "torch._utils _rebuild_qtensor",
    "torch.storage UntypedStorage", "torch._utils _rebuild_tensor_v3", "torch float32", "copyreg _reconstructor",
    "torch.nn.modules.linear Linear",
)  # fmt: skip
Mutation = Callable[[bytes, Random], bytes]


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """A few bytes changed, cut out, put in or repeated."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del changed[at : at + rng.choice((1, 2, 4, 8, 64))]
        elif kind == 3:
            changed[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8)))
        elif kind == 4:
            number = rng.choice(ODD_NUMBERS) % 2**32
            changed[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
        else:
            changed[at:at] = changed[at : at + rng.choice((4, 16, 64))]
    return bytes(changed)


def mutate_pickle(data: bytes, rng: Random) -> bytes:
    """Instructions of a pickle removed, repeated, exchanged or put in."""
    pieces = instructions(data)
    if not pieces:
        return mutate_bytes(data, rng)
    for _ in range(rng.randint(1, 4)):
        at, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        kind = rng.randrange(5)
        if kind == 0 and len(pieces) > 1:
            del pieces[at]
        elif kind == 1:
            pieces.insert(at, pieces[other])
        elif kind == 2:
            pieces[at], pieces[other] = pieces[other], pieces[at]
        elif kind == 3:
            pieces[at] = random_instruction(rng)
        else:
            pieces.insert(at, random_instruction(rng))
        if not pieces:
            break
    return b"".join(pieces)


def instructions(data: bytes) -> list[bytes]:
    """The bytes of each instruction of a pickle, empty where it is none."""
    try:
        starts = [position or 0 for _, _, position in pickletools.genops(data)]
    except Exception:  # noqa: BLE001  pickletools raises whatever its readers raise
        return []
    return [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]


def random_instruction(rng: Random) -> bytes:
    """Any instruction, with an argument that fits it."""
    number = rng.choice(ODD_NUMBERS)
    text = rng.choice(ODD_TEXTS).encode()
    made = (
        lambda: bytes([rng.randrange(256)]),
        lambda: rng.choice(
            (b"(", b"t", b"l", b"d", b"}", b"]", b")", b"N", b"a", b"e", b"s", b"u", b"R", b"\x81", b"b", b"Q")
        ),
        lambda: rng.choice(
            (
                b"0",
                b"1",
                b"2",
                b".",
                b"\x85",
                b"\x86",
                b"\x87",
                b"\x88",
                b"\x8f",
                b"\x90",
                b"\x91",
                b"\x93",
                b"\x94",
                b"o",
            )
        ),
        lambda: b"\x8a\x10" + (number % 2**127).to_bytes(16, "little"),
        lambda: b"J" + struct.pack("<I", number % 2**32),
        lambda: b"K" + bytes([number % 256]),
        lambda: b"X" + struct.pack("<I", len(text)) + text,
        lambda: b"c" + rng.choice(ODD_NAMES).replace(" ", "\n").encode() + b"\n",
        lambda: b"i" + rng.choice(ODD_NAMES).replace(" ", "\n").encode() + b"\n",
        lambda: b"q" + bytes([number % 8]),
        lambda: b"h" + bytes([number % 8]),
        lambda: b"G" + rng.choice((b"\x7f\xf8\0\0\0\0\0\0", b"\x7f\xf0\0\0\0\0\0\0", bytes(8))),
        lambda: b"B" + struct.pack("<I", number % 2**32) + text,
    )
    return rng.choice(made)()


def random_pickle(rng: Random) -> bytes:
    """A program of such instructions."""
    return b"\x80\x02" + b"".join(random_instruction(rng) for _ in range(rng.randint(1, 60))) + b"."


def mutate_zip(data: bytes, rng: Random) -> bytes:
    """One member of a zip file changed as its kind is, and all checksums made right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # noqa: BLE001  zipfile raises more than it documents
        return mutate_bytes(data, rng)
    if not members:
        return mutate_bytes(data, rng)
    name = rng.choice([name for name in members if name.endswith((".pkl", ".json", ".npy"))] or list(members))
    kind = rng.randrange(10)
    if kind == 4:
        members[rng.choice(ODD_TEXTS) + rng.choice(("", ".npy", "/code/x"))] = members.pop(name)
    elif kind == 0:
        members[rng.choice(list(members))] = rng.randbytes(rng.choice((0, 1, 8, 16)))
    elif kind == 1:
        members.pop(rng.choice(list(members)))
    elif kind == 2:
        members[
            rng.choice(list(members)).rpartition("/")[0] + "/" + rng.choice(("byteorder", "data.pkl", "../x", "data/0"))
        ] = b"big"
    elif name.endswith(".pkl"):
        members[name] = random_pickle(rng) if kind == 3 else mutate_pickle(members[name], rng)
    elif name.endswith(".json"):
        members[name] = mutate_json_bytes(members[name], rng)
    else:
        members[name] = mutate_bytes(members[name], rng)
    return zip_bytes(members, compression=rng.choice((0, 0, 0, 0, 8)))


def mutate_json_bytes(data: bytes, rng: Random) -> bytes:
    """A value in a JSON text replaced; bytes changed where it is none."""
    try:
        return json.dumps(mutate_json(json.loads(data), rng)).encode()
    except (ValueError, RecursionError):
        return mutate_bytes(data, rng)


def mutate_json(value: Any, rng: Random) -> Any:
    """The same with one value, somewhere, replaced, removed or under another name."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        kind = rng.randrange(8)
        if kind == 0:
            return {name: item for name, item in value.items() if name != key}
        if kind == 1:
            return {rng.choice(ODD_TEXTS) if name == key else name: item for name, item in value.items()}
        return value | {key: mutate_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], mutate_json(value[at], rng), *value[at + 1 :]]
    return random_json(rng, 2)


def random_json(rng: Random, depth: int) -> Any:
    """Any small value that JSON has, odd ones preferred."""
    kind = rng.randrange(7 if depth else 5)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice(ODD_NUMBERS)
    if kind == 2:
        return rng.choice((0.5, -0.0, 1e308, float("nan"), float("inf")))
    if kind in (3, 4):
        return rng.choice((*ODD_TEXTS, "NAC", "NALU", "NALUCell", "Sequential", "Linear", "F32", "F64", "BOOL"))
    inner = [random_json(rng, depth - 1) for _ in range(rng.randrange(4))]
    return (
        inner if kind == 5 else {rng.choice((*ODD_TEXTS, "type", "args", "children", "dims")): item for item in inner}
    )


def mutate_safetensors(data: bytes, rng: Random) -> bytes:
    """The header changed as JSON, and its size made right again."""
    end = 8 + int.from_bytes(data[:8], "little")
    header, content = data[8:end], data[end:]
    if rng.random() < 0.1:
        content = mutate_bytes(content, rng)
    changed = mutate_json_bytes(header, rng)
    return struct.pack("<Q", len(changed)) + changed + content


def mutate_onnx(data: bytes, rng: Random) -> bytes:
    """One field of a protobuf message changed, somewhere in it."""
    try:
        proto = onnx.load_from_string(data)
    except Exception:  # noqa: BLE001  protobuf's DecodeError is another class in each of its implementations
        return mutate_bytes(data, rng)
    for _ in range(rng.randint(1, 3)):
        _mutate_message(proto, rng)
    return proto.SerializeToString()  # type: ignore[no-any-return]


def mutate_fields(data: bytes, rng: Random) -> bytes:
    """Many small fields behind an ONNX file, in any of its messages: protobuf puts what comes twice together."""
    way, unit = rng.choice(list(EMPTY.values()))
    content = unit * rng.choice((1, 1, 10, 10, 100, 1000))
    if rng.random() < 0.3:
        content = mutate_bytes(content, rng)
    for each in reversed(way):
        content = field(each, content)
    return (mutate_onnx(data, rng) if rng.random() < 0.2 else data) + content


def _mutate_message(message: Any, rng: Random) -> None:
    fields = message.ListFields()
    if not fields:
        return
    descriptor, value = rng.choice(fields)
    name = descriptor.name
    if rng.random() < 0.1:
        message.ClearField(name)
    elif hasattr(value, "ListFields"):
        _mutate_message(value, rng)
    elif hasattr(value, "append") or hasattr(value, "add"):
        _mutate_repeated(value, rng)
    else:
        # An enumeration takes 32 bits and refuses the largest of them.
        with contextlib.suppress(ValueError):
            setattr(message, name, _other(value, rng))


def _mutate_repeated(values: Any, rng: Random) -> None:
    if not len(values):
        return
    at = rng.randrange(len(values))
    if rng.random() < 0.15:
        del values[at]
    elif hasattr(values[at], "ListFields"):
        if rng.random() < 0.1:
            values.add().CopyFrom(values[at])
        _mutate_message(values[at], rng)
    else:
        values[at] = _other(values[at], rng)


def _other(value: Any, rng: Random) -> Any:
    """Another value of the same type that the field takes."""
    if isinstance(value, bytes):
        return mutate_bytes(value, rng)
    if isinstance(value, str):
        return rng.choice((*ODD_TEXTS, value + "x", value[:-1], _json_text(value, rng)))
    if isinstance(value, float):
        return rng.choice((0.0, float("nan"), float("inf"), -1.0))
    return rng.choice((0, 1, 2, 3, 10, 11, 16, 17, 2**20, 2**31 - 1))


def _json_text(text: str, rng: Random) -> str:
    return mutate_json_bytes(text.encode("utf-8", "replace"), rng).decode("utf-8", "replace")
