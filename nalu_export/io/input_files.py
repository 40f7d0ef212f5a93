"""Arrays from files: ``.npz`` and ``.npy``, read without running anything and without more memory than is there."""

import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError, first_line
from nalu_export.io.archives import Archive, ArchiveError, Flaw, Limits
from nalu_export.io.files import read_bytes
from nalu_export.io.text import MAX_TEXT, plain
from nalu_export.process.locks import own_warnings

# What the arrays of an input file may hold together, unpacked.
MAX_INPUTS = 2**30
# How many there may be: each is an input distribution of its own, and takes a check some milliseconds and more.
MAX_ARRAYS = 256
SAVE_ARRAYS = "write it with numpy.savez(path, x=array)"
_HEADERS: dict[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_inputs(path: str | os.PathLike[str]) -> dict[str, NDArray[np.generic]]:
    """The arrays of an ``.npz`` file by name, or the one of an ``.npy`` file under its stem; nothing is unpickled.

    Raises:
        InputError: the file cannot be read, is something else, or holds objects, nothing or more than 1 GiB.
    """
    path = Path(path)
    data = read_bytes(path)
    try:
        arrays = _members(data) if data.startswith(b"PK") else {path.stem: _array(data)}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        # numpy raises more kinds of errors than it documents.
        raise InputError(f"{path}: not a readable .npz or .npy file: {first_line(error)}; {SAVE_ARRAYS}") from error
    if not arrays:
        raise InputError(f"{path}: holds no array; {SAVE_ARRAYS}")
    return arrays


def _members(data: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        archive = Archive(data, Limits(MAX_ARRAYS, MAX_INPUTS, deflated=True))
        arrays: dict[str, NDArray[np.generic]] = {}
        for member in archive.members():
            name = member.name.removesuffix(".npy")
            if name in arrays:
                raise _twice(name)
            arrays[name] = _array(bytes(member.content()), f"its member {plain(member.name)}")
    except ArchiveError as error:
        raise _refusal(error) from error
    # In the order of the list, which is that of whoever wrote them.
    return {name: arrays[name] for name in (listed.removesuffix(".npy") for listed in archive.names)}


def _twice(name: str) -> InputError:
    return InputError(f"has the array {plain(name)} twice; {SAVE_ARRAYS}")


def _refusal(error: ArchiveError) -> Exception:
    """What is said of a file of arrays that the guard of archives refuses."""
    match error.flaw:
        case Flaw.COUNT:
            most = f"at most {MAX_ARRAYS} are checked, join them along the samples"
            return InputError(f"has {error.amount:,} arrays; {most}")
        case Flaw.SIZE:
            return InputError(str(error))
        case Flaw.TWICE:
            return _twice(error.member.removesuffix(".npy"))
        case Flaw.COMPRESSED:
            return ValueError(f"its member {plain(error.member)} is compressed in a way that numpy does not write")
        case Flaw.CHECKSUM:
            return ValueError(f"Bad CRC-32 for file {error.member!r}")
    return ValueError(str(error))


def _array(content: bytes, name: str = "it") -> NDArray[np.generic]:
    """An array as numpy writes it, looking into its bytes: none is made larger than what is there."""
    file = io.BytesIO(content)
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name} is not an array")
    shape, columns_first, dtype = _header(file, name)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they are pickled, and unpickling runs code")
    if dtype.itemsize == 0 and 0 not in shape:
        # numpy makes texts of no characters longer by one, of whatever is in memory, for each that a header claims.
        raise ValueError(f"{name} has entries of no bytes")
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if min(shape, default=0) < 0 or expected != found:
        raise ValueError(f"{name} has {found:,} bytes of numbers, its shape {_shown(shape)} needs {_shown(expected)}")
    order: Literal["F", "C"] = "F" if columns_first else "C"
    if not expected:
        return np.empty(shape, dtype, order)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order=order)


def _header(file: io.BytesIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns stand together, and type."""
    try:
        read = _HEADERS[np.lib.format.read_magic(file)]
        with own_warnings(ignored=True):  # that Python 2 wrote it
            return read(file)
    except Exception as error:
        # numpy parses it as Python, and what Python's parser raises varies with its version.
        raise ValueError(f"{name} has a damaged header") from error


def _shown(value: Any) -> str:
    """A number or shape from a file, which may have any number of digits."""
    try:
        text = str(value)
    except ValueError:  # Python prints no more than 4300
        return "…"
    return text if len(text) <= MAX_TEXT else "…"
