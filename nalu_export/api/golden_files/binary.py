"""The binary form of a golden file; docs/cpp.md describes each field."""

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.api.golden_files.record import (
    FIELDS,
    MAX_ASSUMPTION,
    MAX_ASSUMPTIONS,
    MAX_NAME,
    ONLY_INPUT,
    ONLY_OUTPUT,
    VERSION,
    Golden,
    GoldenInput,
    GoldenOutput,
    check_count,
    check_names,
    check_rank,
    checked,
)
from nalu_export.errors import InputError
from nalu_export.graph.folding import Compute
from nalu_export.io.arrays import TYPES, code_of, packed, packed_shape, unpacked
from nalu_export.io.text import plain

MAGIC = b"NALUGOLD"

_HEAD = struct.Struct("<8sII64s")
_BITS: dict[int, Compute] = {32: "float32", 64: "float64"}


@dataclass(frozen=True)
class _Slot:
    """The header of an input or output."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    shared: bool = False


def to_bin(golden: Golden) -> bytes:
    """Return a golden file in the binary form of version 2.

    Raises:
        InputError: an array has a type that a golden file cannot hold.
    """
    bits = next(bits for bits, name in _BITS.items() if name == golden.compute)
    pieces = [_HEAD.pack(MAGIC, VERSION, bits, golden.source_sha256.encode("ascii"))]
    pieces.append(struct.pack("<II", len(golden.inputs), len(golden.outputs)))
    pieces += [_packed_name(given.name, given.values) + packed_shape(given.values.shape) for given in golden.inputs]
    pieces += [
        _packed_name(output.name, output.torch)
        + struct.pack("<I", output.shared)
        + packed_shape(output.reference.shape)
        for output in golden.outputs
    ]
    texts = [text.encode() for text in golden.assumptions]
    pieces += [struct.pack("<I", len(texts)), *(struct.pack("<I", len(text)) + text for text in texts)]
    pieces += [_numbers(given.values) for given in golden.inputs]
    for output in golden.outputs:
        pieces += [_numbers(getattr(output, name), dtype) for name, dtype in FIELDS.items()]
    return b"".join(pieces)


def _packed_name(name: str, array: NDArray[Any]) -> bytes:
    """Return the name and the type code of an input or output as bytes."""
    code, text = code_of(array.dtype), name.encode()
    if code is None:
        raise InputError(f"{plain(name)} is {array.dtype}, which a golden file cannot hold")
    return struct.pack("<I", len(text)) + text + struct.pack("<I", code)


def _numbers(array: NDArray[Any], dtype: np.dtype[Any] | None = None) -> bytes:
    return packed(array, dtype or array.dtype.newbyteorder("<"))


def from_bin(data: bytes) -> Golden:
    """Read the binary form of version 1 or 2. Arrays are made only after their sizes are found to fit the file.

    Raises:
        InputError: the bytes are not a valid golden file.
    """
    reader = _Reader(data)
    magic, version, bits, digest = _HEAD.unpack(reader.take(_HEAD.size))
    if magic != MAGIC:
        raise InputError(f"does not start with {MAGIC.decode()}, so it is not a golden file")
    if version not in (1, VERSION):
        raise InputError(f"is of version {version}; expected 1 or {VERSION}")
    if bits not in _BITS:
        raise InputError(f"compute is {bits}; expected 32 or 64")
    inputs, outputs = _slots(reader) if version == VERSION else _slots_of_version_1(reader)
    assumptions = reader.assumptions() if version == VERSION else ()
    sizes = [math.prod(slot.shape) * slot.dtype.itemsize for slot in inputs]
    sizes += [math.prod(slot.shape) * (dtype or slot.dtype).itemsize for slot in outputs for dtype in FIELDS.values()]
    needed = reader.position + sum(sizes)
    if needed != len(data):
        expected = f"{needed:,}" if needed < 2**64 else "more than 2**64"
        raise InputError(f"has {len(data):,} bytes; its {_described(inputs, outputs)} need {expected}")
    return checked(
        Golden(
            digest.decode("latin-1"),
            _BITS[bits],
            tuple(GoldenInput(slot.name, reader.numbers(slot.dtype, slot.shape)) for slot in inputs),
            tuple(_output(reader, slot) for slot in outputs),
            assumptions,
        )
    )


def _output(reader: "_Reader", slot: _Slot) -> GoldenOutput:
    arrays: dict[str, Any] = {name: reader.numbers(dtype or slot.dtype, slot.shape) for name, dtype in FIELDS.items()}
    return GoldenOutput(slot.name, shared=slot.shared, **arrays)


def _described(inputs: list[_Slot], outputs: list[_Slot]) -> str:
    """Return the names and shapes of the inputs and outputs; if there are more than four, only their numbers."""
    if len(inputs) + len(outputs) > 4:
        return f"{len(inputs)} inputs and {len(outputs)} outputs"
    kinds = [("input", slot) for slot in inputs] + [("output", slot) for slot in outputs]
    return " and ".join(f"{kind} {plain(slot.name)} {slot.shape}" for kind, slot in kinds)


def _slots(reader: "_Reader") -> tuple[list[_Slot], list[_Slot]]:
    counts = struct.unpack("<II", reader.take(8))
    for kind, count in zip(("input", "output"), counts, strict=True):
        check_count(kind, count)
    inputs = [reader.slot("input") for _ in range(counts[0])]
    outputs = [reader.slot("output") for _ in range(counts[1])]
    check_names("input", [slot.name for slot in inputs])
    check_names("output", [slot.name for slot in outputs])
    return inputs, outputs


def _slots_of_version_1(reader: "_Reader") -> tuple[list[_Slot], list[_Slot]]:
    """Read the header of version 1: one input and one output of float32, without names."""
    x, y = (
        _Slot(name, TYPES[1], reader.shape(f"{kind} {name}"))
        for kind, name in (("input", ONLY_INPUT), ("output", ONLY_OUTPUT))
    )
    return [x], [y]


class _Reader:
    """Reads the fields of a golden file in their order. Its methods raise :class:`InputError` for a wrong field.

    Attributes:
        position: number of bytes that were read.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.position = data, 0

    def take(self, count: int) -> bytes:
        """Read exactly ``count`` bytes."""
        piece = self._data[self.position : self.position + count]
        if len(piece) < count:
            raise InputError(f"ends at byte {len(self._data):,}, within its header; it is cut off")
        self.position += count
        return piece

    def number(self) -> int:
        """Read a uint32."""
        return int.from_bytes(self.take(4), "little")

    def shape(self, what: str, *, shared: bool = False) -> tuple[int, ...]:
        """Read a rank and as many sizes; ``what`` names the input or output in errors."""
        rank = self.number()
        check_rank(what, rank, shared=shared)
        return struct.unpack(f"<{rank}Q", self.take(8 * rank))

    def assumptions(self) -> tuple[str, ...]:
        """Read the assumptions: their number, then the length and the text of each."""
        count = self.number()
        if count > MAX_ASSUMPTIONS:
            raise InputError(f"has {count:,} assumptions; expected at most {MAX_ASSUMPTIONS}")
        return tuple(self._text("an assumption", MAX_ASSUMPTION) for _ in range(count))

    def _text(self, what: str, most: int) -> str:
        length = self.number()
        try:
            # One byte more than the limit is enough: the text is then refused as too long.
            return self.take(min(length, most + 1)).decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{what} is not UTF-8") from error

    def slot(self, kind: str) -> _Slot:
        """Read the header of an input or output."""
        name = self._text(f"an {kind}'s name", MAX_NAME)
        check_names(kind, [name])
        what, code = f"{kind} {plain(name)}", self.number()
        if code not in TYPES:
            raise InputError(f"{what} is of type {code}; expected 1 to {len(TYPES)}")
        shared = self.number() if kind == "output" else 0
        if shared > 1:
            raise InputError(f"{what} says {shared} for shared; expected 0 or 1")
        return _Slot(name, TYPES[code], self.shape(what, shared=bool(shared)), bool(shared))

    def numbers(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Read a writable array."""
        return unpacked(self.take(math.prod(shape) * dtype.itemsize), dtype, shape)
