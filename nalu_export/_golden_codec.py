"""The two forms of a golden file as bytes: one for programs in any language, one for numpy."""

import io
import math
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError
from nalu_export.text import plain
from nalu_export.weights import COMPUTE, Compute

MAGIC = b"NALUGOLD"
VERSION = 1
MAX_RANK = 16
HEX = frozenset("0123456789abcdef")
MAX_ACCEPT = 4

_HEAD = struct.Struct("<8sII64s")
_BITS = {32: "float32", 64: "float64"}
# In their order in the file; x has a shape of its own, the others share one.
_ARRAYS: dict[str, np.dtype[Any]] = {
    "x": np.dtype("<f4"),
    "reference": np.dtype("<f8"),
    "bound": np.dtype("<f8"),
    "unit": np.dtype("<f8"),
    "torch": np.dtype("<f4"),
    "accept": np.dtype("u1"),
}
_TEXTS = ("source_sha256", "compute")
# As old as a zip can say, so that the same arrays give the same bytes at any time.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)

_Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Golden:
    """Inputs, what a model gives for them, and how far off an evaluation may be.

    A finite output passes where ``|out − reference| ≤ bound``, and where ``bound`` is infinite. One that is not finite
    passes where ``accept`` is its kind (1 NaN, 2 ``+inf``, 3 ``−inf``) or 4. That is what a check accepts too, but for
    the sign of an exact zero, which is not carried.

    Attributes:
        source_sha256: of the model's file, as an export's metadata has it.
        compute: the type of the arithmetic part that the bounds are for.
        x: inputs ``(samples, …)``, float32.
        reference: the model in float64, ``(samples, …)``.
        bound: largest ``|out − reference|`` of a correct evaluation.
        unit: ``u·D``; E is ``|out − reference| / unit``.
        torch: PyTorch's own float32 output.
        accept: what passes that is not a finite number: 0 nothing, 1 NaN, 2 ``+inf``, 3 ``−inf``, 4 all three.
    """

    source_sha256: str
    compute: Compute
    x: NDArray[np.float32]
    reference: NDArray[np.float64]
    bound: NDArray[np.float64]
    unit: NDArray[np.float64]
    torch: NDArray[np.float32]
    accept: NDArray[np.uint8]


def to_bin(golden: Golden) -> bytes:
    """The binary form; docs/cpp.md has it field by field."""
    bits = next(bits for bits, name in _BITS.items() if name == golden.compute)
    shapes = [_packed_shape(array.shape) for array in (golden.x, golden.reference)]
    head = _HEAD.pack(MAGIC, VERSION, bits, golden.source_sha256.encode("ascii"))
    return b"".join([head, *shapes, *(array.tobytes() for array in _arrays(golden).values())])


def to_npz(golden: Golden) -> bytes:
    """What ``numpy.load`` reads without pickle: the arrays, and both texts as arrays without axes."""
    texts = {name: np.array(getattr(golden, name)) for name in _TEXTS}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in (_arrays(golden) | texts).items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), member.getvalue())
    return file.getvalue()


def from_bin(data: bytes) -> Golden:
    """Read the binary form; no array is made before the sizes are known to fit the file.

    Raises:
        InputError: anything about it is not as :func:`to_bin` writes it.
    """
    reader = _Reader(data)
    magic, version, bits, digest = _HEAD.unpack(reader.take(_HEAD.size))
    if magic != MAGIC:
        raise InputError(f"does not start with {MAGIC.decode()}: no golden file")
    if version != VERSION:
        raise InputError(f"is of version {version}; expected {VERSION}")
    if bits not in _BITS:
        raise InputError(f"compute is {bits}; expected 32 or 64")
    x_shape, y_shape = reader.shape("x"), reader.shape("y")
    shapes = {name: x_shape if name == "x" else y_shape for name in _ARRAYS}
    need = reader.at + sum(math.prod(shapes[name]) * dtype.itemsize for name, dtype in _ARRAYS.items())
    if need != len(data):
        expected = f"{need:,}" if need < 2**64 else "more than 2**64"
        raise InputError(f"has {len(data):,} bytes; its shapes x {x_shape} and y {y_shape} need {expected}")
    arrays = {
        name: np.frombuffer(reader.take(math.prod(shapes[name]) * dtype.itemsize), dtype).reshape(shapes[name])
        for name, dtype in _ARRAYS.items()
    }
    return _checked(digest.decode("latin-1"), _BITS[bits], arrays)


def from_arrays(arrays: _Arrays) -> Golden:
    """The arrays of the other form, by name.

    Raises:
        InputError: one is missing or of another type, there are others, or they do not fit each other.
    """
    wanted = {*_ARRAYS, *_TEXTS}
    for name in sorted(wanted - set(arrays)):
        raise InputError(f"has no array {name}; a golden file holds {', '.join(sorted(wanted))}")
    for name in sorted(set(arrays) - wanted):
        raise InputError(f"holds an array {plain(name)} too; a golden file holds {', '.join(sorted(wanted))}")
    for name, dtype in _ARRAYS.items():
        if arrays[name].dtype != dtype:
            raise InputError(f"{name} is {plain(str(arrays[name].dtype))}; expected {dtype}")
        if not 1 <= arrays[name].ndim <= MAX_RANK:
            raise InputError(f"{name} has {arrays[name].ndim} axes; expected 1 to {MAX_RANK}")
    for name in _TEXTS:
        if arrays[name].dtype.kind != "U" or arrays[name].shape:
            raise InputError(f"{name} is {plain(str(arrays[name].dtype))} {arrays[name].shape}; expected one text")
    digest, compute = (str(arrays[name]) for name in _TEXTS)
    return _checked(digest, compute, {name: arrays[name] for name in _ARRAYS})


def _arrays(golden: Golden) -> dict[str, NDArray[Any]]:
    return {name: np.ascontiguousarray(getattr(golden, name), dtype) for name, dtype in _ARRAYS.items()}


def _packed_shape(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<I{len(shape)}Q", len(shape), *shape)


def _checked(digest: str, compute: str, arrays: _Arrays) -> Golden:
    """A golden file of these parts, when they make sense together."""
    if len(digest) != 64 or not HEX.issuperset(digest):
        raise InputError(f"source_sha256 is {plain(digest)}; expected 64 hexadecimal digits")
    if compute not in COMPUTE:
        raise InputError(f"compute is {plain(compute)}; expected {' or '.join(COMPUTE)}")
    x, y = arrays["x"].shape, arrays["reference"].shape
    for name in _ARRAYS:
        if name != "x" and arrays[name].shape != y:
            raise InputError(f"{name} has shape {arrays[name].shape}, reference {y}; expected the same")
    if x[0] != y[0]:
        raise InputError(f"has {x[0]} inputs and {y[0]} outputs; expected as many")
    if 0 in (*x, *y):
        raise InputError(f"has no numbers: x has shape {x}, reference {y}")
    for name in ("bound", "unit"):
        if not bool((arrays[name] >= 0).all()):
            raise InputError(f"{name} has values that are negative or NaN")
    if int(arrays["accept"].max()) > MAX_ACCEPT:
        raise InputError(f"accept has a value {int(arrays['accept'].max())}; expected 0 to {MAX_ACCEPT}")
    # Copies: what is read can be written to, and torch takes it without a warning.
    return Golden(digest, compute, **{name: array.copy() for name, array in arrays.items()})


class _Reader:
    """Bytes from the start to the end.

    Attributes:
        at: how many are taken.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, count: int) -> bytes:
        """The next bytes, exactly as many."""
        piece = self._data[self.at : self.at + count]
        if len(piece) < count:
            raise InputError(f"ends at byte {len(self._data):,}, within its header; it is cut off")
        self.at += count
        return piece

    def shape(self, name: str) -> tuple[int, ...]:
        """A rank and as many sizes."""
        (rank,) = struct.unpack("<I", self.take(4))
        if not 1 <= rank <= MAX_RANK:
            raise InputError(f"{name} has {rank} axes; expected 1 to {MAX_RANK}")
        return struct.unpack(f"<{rank}Q", self.take(8 * rank))
