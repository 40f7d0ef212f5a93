"""How much a small file can make this package do: limits, each at its edge, and what would be a bomb elsewhere."""

import contextlib
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from nalu_export import InputError
from nalu_export.checkpoints import _machine
from nalu_export.checkpoints.container import unpack
from tests.checkpoints.files import time_limit
from tests.checkpoints.programs import (
    DAMAGED,
    INSTEAD,
    SIXTEEN,
    legacy_with_program,
    name,
    number,
    refused,
    storage_program,
    tensor_program,
    text,
    with_program,
)


def test_a_million_steps_at_most() -> None:
    assert _machine.MAX_STEPS == 1_000_000
    assert len(unpack(with_program(b"](" + b"N" * 999_997 + b"e.")).payload) == 999_997
    error = refused(with_program(b"](" + b"N" * 999_998 + b"e."))
    assert error == f"holds more than 1,000,000 values besides its tensors; {INSTEAD}"


def test_so_many_tensors_at_most() -> None:
    program = tensor_program(storage_program(), 0, (4,), (1,))
    function, arguments = program[: program.index(b"(")], program[program.index(b"(") : -1]
    head = b"]" + function + b"q\x01" + arguments + b"q\x0200("

    def holding(count: int) -> bytes:
        return with_program(head + b"h\x01h\x02R" * count + b"e.", **{"0": SIXTEEN})

    assert len(unpack(holding(_machine.MAX_TENSORS)).payload) == _machine.MAX_TENSORS
    error = refused(holding(_machine.MAX_TENSORS + 1))
    assert error == f"holds more than 50,000 tensors; {INSTEAD}"


def test_values_are_copied_once() -> None:
    pairs = b"(" + b"".join(number(index) + b"N\x86" for index in range(100)) + b"l\x85q\x02"
    program = name("collections", "OrderedDict") + b"q\x01" + pairs + b"00](" + b"h\x01h\x02R" * 50 + b"e."
    again = len(program) // 100
    assert again < 50
    assert refused(with_program(program)) == DAMAGED + "copies its values again and again; copy or download it again"
    once = unpack(with_program(program.replace(b"h\x01h\x02R" * 50, b"h\x01h\x02R" * 10))).payload
    assert once == [dict.fromkeys(range(100))] * 10


def test_a_text_is_encoded_once() -> None:
    head = b"]" + name("_codecs", "encode") + b"q\x01" + text("a" * 1000) + text("latin1") + b"\x86q\x0200("
    assert unpack(with_program(head + b"h\x01h\x02Re.")).payload == [b"a" * 1000]
    error = refused(with_program(head + b"h\x01h\x02R" * 2 + b"e."))
    assert error == DAMAGED + "turns one text into bytes again and again; copy or download it again"


def many(size: int, unit: bytes, head: bytes = b"", tail: bytes = b".") -> bytes:
    """An instruction, or a few, again and again."""
    return head + unit * ((size - len(head) - len(tail)) // len(unit)) + tail


def colliding(size: int, factor: int, width: int) -> bytes:
    """A dictionary of numbers that differ by a factor."""
    start = b"\x8a" + bytes([width])
    keys = (start + (index * factor).to_bytes(width, "little") + b"N" for index in range(1, size // (width + 3)))
    return b"}(" + b"".join(keys) + b"u."


def deep(size: int, opening: bytes, closing: bytes) -> bytes:
    return opening * (size // 2) + closing * (size // 2 - 1) + b"."


def laughs(size: int) -> bytes:
    """Each list holds the one before it 2500 times."""
    lists = (
        b"](" + (b"h" + bytes([index])) * 2500 + b"eq" + bytes([index + 1]) for index in range(min(95, size // 5000))
    )
    return b"]q\x00" + b"".join(lists) + b"."


def encoded(size: int) -> bytes:
    head = name("_codecs", "encode") + b"q\x01" + text("a" * (size // 2)) + text("latin1") + b"\x86q\x02"
    return many(size, b"h\x01h\x02R", head)


def copied(size: int) -> bytes:
    entries = b"".join(b"J" + struct.pack("<i", index) + b"N" for index in range(size // 10))
    return many(size, b"h\x01h\x02R", name("collections", "Counter") + b"q\x01}(" + entries + b"u\x85q\x02")


def tensors(size: int) -> bytes:
    head = name("torch._utils", "_rebuild_tensor") + b"q\x01(" + storage_program() + b"K\x00))tq\x02"
    return head + b"h\x01h\x02R" * (size // 10) + b"."


def storages(size: int) -> bytes:
    """Storages of no bytes, each with a tensor."""
    head = name("torch._utils", "_rebuild_tensor") + b"q\x01" + text("storage") + b"q\x02"
    head += name("torch", "FloatStorage") + b"q\x03K\x00\x85q\x04"
    numbers = ([65 + index % 60, 65 + index // 60 % 60, 65 + index // 3600] for index in range(size // 30))
    keys = (b"U\x03" + bytes(key) for key in numbers)
    return head + b"".join(b"h\x01((h\x02h\x03" + key + b"NK\x00NtQK\x00h\x04h\x04tR" for key in keys) + b"."


def claimed(count: int, elements: int) -> bytes:
    """Storages that are larger than the file."""
    each = (tensor_program(storage_program(str(key), elements, view=b"N"), 0, (1,), (1,)) for key in range(count))
    return b"".join(each) + b"."


BOMBS: dict[str, Callable[[int], bytes]] = {
    "dictionaries": lambda size: many(size, b"}"),
    "lists": lambda size: many(size, b"]"),
    "lists of one": lambda size: many(size, b"]Na"),
    "dictionaries of one": lambda size: many(size, b"}K\x01Ns"),
    "tuples": lambda size: many(size, b"N\x85"),
    "marks": lambda size: many(size, b"("),
    "remembered": lambda size: many(size, b"}\x94"),
    "sets": lambda size: many(size, b"\x8f"),
    "deep lists": lambda size: deep(size, b"]", b"a"),
    "deep tuples": lambda size: many(size, b"\x85", b")"),
    "deep tuple as a key": lambda size: many(size, b"\x85", b"})", b"Ns."),
    "wide tuple as a key": lambda size: many(size, b"h\x01Ns", b"(" + b"N" * (size // 2) + b"tq\x01}"),
    "colliding keys": lambda size: colliding(size, 2**61 - 1, 16),
    "colliding small keys": lambda size: colliding(size, 2**44, 8),
    "doubled": lambda size: many(size, b"2\x86", b"N"),
    "list in itself": lambda size: many(size, b"h\x00a", b"]q\x00"),
    "list in itself, behind others": lambda size: many(size, b"N", b"]q\x00(", b"h\x00e."),
    "laughs": laughs,
    "texts of four bytes a letter": lambda size: many(size, b"X\x05\x00\x00\x00a\xf0\x9f\x98\x80"),
    "encoded": encoded,
    "copied": copied,
    "names": lambda size: many(size, b"comegaconf.\n\n"),
    "long numbers": lambda size: many(size, b"\x8a\xff" + b"\x7f" * 255),
    "digits": lambda size: many(size, b"L" + b"9" * 250 + b"L\n"),
    "tensors": tensors,
    "storages": storages,
    "a huge storage": lambda size: claimed(1, 2**40),
    "huge storages": lambda size: claimed(size // 330, 100_000),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("case", BOMBS)
def test_a_quarter_of_a_megabyte_of_anything_ends(case: str, legacy: bool) -> None:
    """In half a second here; in time that grows with the square of the size it would take hours."""
    data = bomb(case, 250_000, legacy)
    with time_limit(30), contextlib.suppress(InputError):
        unpack(data)


# Up to MAX_STEPS, 80 bytes for each byte of the file are no more than 64 and 64 MiB.
BYTES_FOR_A_BYTE = 80
# Torch's own memory for a tensor with its storage, which tracemalloc does not see.
TENSOR_BYTES = 1000


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("case", BOMBS)
def test_memory_stays_within_what_is_promised(case: str, legacy: bool) -> None:
    data = bomb(case, 50_000, legacy)
    tracemalloc.start()
    try:
        with contextlib.suppress(InputError):
            unpack(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < BYTES_FOR_A_BYTE * len(data) + (1 << 20)


def bomb(case: str, size: int, legacy: bool) -> bytes:
    program = BOMBS[case](size)
    return legacy_with_program(program) if legacy else with_program(program, **{"0": SIXTEEN})


def test_the_promise_follows_from_the_limits() -> None:
    steps, tensor_count = _machine.MAX_STEPS, _machine.MAX_TENSORS
    assert BYTES_FOR_A_BYTE * steps <= 64 * steps + (64 << 20)
    # A tensor takes 20 bytes of a file at the least, its storage 14 more.
    assert (TENSOR_BYTES + BYTES_FOR_A_BYTE) * tensor_count <= 64 * 20 * tensor_count + (64 << 20)
