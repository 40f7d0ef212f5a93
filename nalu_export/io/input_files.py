"""Reads arrays from ``.npz`` and ``.npy`` files, without running code from them and within a limit of memory."""

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

# Largest number of unpacked bytes of all members of a file together.
MAX_INPUTS = 2**30
# Largest number of arrays in a file. A check takes each of them as an input distribution, which costs milliseconds.
MAX_ARRAYS = 256
SAVE_ARRAYS = "write it with numpy.savez(path, x=array)"
_HEADERS: dict[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_inputs(path: str | os.PathLike[str]) -> dict[str, NDArray[np.generic]]:
    """Read the arrays of an ``.npz`` file by name, or that of an ``.npy`` file under the stem of its path.

    Nothing is unpickled, and no code of the file runs.

    Raises:
        InputError: the file cannot be read, is not such a file, or holds Python objects, no array, more than 256 arrays
            or, as an ``.npz``, more than 1 GiB of unpacked content.
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
    # The order of the list of members, in which they were written; archive.members() has the order in the file.
    return {name: arrays[name] for name in (listed.removesuffix(".npy") for listed in archive.names)}


def _twice(name: str) -> InputError:
    return InputError(f"has the array {plain(name)} twice; {SAVE_ARRAYS}")


def _refusal(error: ArchiveError) -> Exception:
    """Return the error for an ``.npz`` file that the guard of archives refuses."""
    match error.flaw:
        case Flaw.COUNT:
            return InputError(f"has {error.amount:,} arrays, more than {MAX_ARRAYS}; join them along the sample axis")
        case Flaw.SIZE:
            return InputError(str(error))
        case Flaw.TWICE:
            return _twice(error.member.removesuffix(".npy"))
        case Flaw.COMPRESSED:
            return ValueError(f"its member {plain(error.member)} is compressed by a method that numpy does not use")
        case Flaw.CHECKSUM:
            return ValueError(f"Bad CRC-32 for file {error.member!r}")
    return ValueError(str(error))


def _array(content: bytes, name: str = "it") -> NDArray[np.generic]:
    """Return the array of the bytes of an ``.npy`` file, as a view of them, so it needs no more memory than they do."""
    file = io.BytesIO(content)
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name} is not an array")
    shape, columns_first, dtype = _header(file, name)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they are pickled, and unpickling runs code")
    if dtype.itemsize == 0 and 0 not in shape:
        # np.empty turns texts of length 0 into texts of length 1: uninitialised memory, as much as a header claims.
        raise ValueError(f"{name} has entries of 0 bytes")
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if min(shape, default=0) < 0 or expected != found:
        raise ValueError(f"{name} has {found:,} bytes of values, its shape {_shown(shape)} needs {_shown(expected)}")
    order: Literal["F", "C"] = "F" if columns_first else "C"
    if not expected:
        return np.empty(shape, dtype, order)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order=order)


def _header(file: io.BytesIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether the array is stored in column-major order, and type."""
    try:
        read = _HEADERS[np.lib.format.read_magic(file)]
        with own_warnings(ignored=True):  # numpy warns about headers that Python 2 wrote
            return read(file)
    except Exception as error:
        # numpy parses the header as Python source, and the errors of Python's parser vary with its version.
        raise ValueError(f"{name} has a damaged header") from error


def _shown(value: Any) -> str:
    """Return a number or shape from a file as a text, or ``…`` if it is longer than 60 characters."""
    try:
        text = str(value)
    except ValueError:  # Python prints no integer of more than 4300 digits
        return "…"
    return text if len(text) <= MAX_TEXT else "…"
