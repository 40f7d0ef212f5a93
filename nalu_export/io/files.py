"""Reads regular files and standard input: without hanging, within the memory, and as the content was at one moment."""

import io
import os
import stat
import sys
import time
from pathlib import Path

from nalu_export.errors import InputError

# Bytes that are compared at a time.
PIECE = 2**20
# Seconds without a change after which the writer of a file is taken to have finished.
QUIET = 0.05


class Stream(type(Path())):  # type: ignore[misc]
    """A path that stands for a standard stream. Its text is for messages; no file of that name is read or written."""

    TEXT = ""

    def __new__(cls) -> "Stream":
        """Return a path with the text ``TEXT``."""
        stream: Stream = super().__new__(cls, cls.TEXT)
        return stream

    def __init__(self) -> None:
        if sys.version_info >= (3, 12):  # pathlib of 3.12 and later takes the text in __init__, older ones in __new__
            super().__init__(self.TEXT)

    def with_segments(self, *parts: str | os.PathLike[str]) -> Path:
        """Return an ordinary path; Python 3.12 and later make ``parent`` and other derived paths with this method."""
        return Path(*parts)


class StandardInput(Stream):
    """A path that stands for standard input, which is read once and kept."""

    TEXT = "standard input"
    _read: bytes | None = None

    def content(self) -> bytes:
        """Return all bytes of standard input.

        Raises:
            InputError: standard input is closed or a terminal, cannot be read, or is larger than half of the memory.
        """
        if self._read is None:
            self._read = _read_stream(self.TEXT)
        return self._read


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return a path. A :class:`Path` is returned as it is, so a :class:`StandardInput` stays one."""
    return path if isinstance(path, Path) else Path(path)


def _read_stream(name: str) -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        what = "closed" if stream is None else "a terminal"
        raise InputError(f"{name}: is {what}; give a path, or pipe a file: cat model.pt | nalu-export -")
    memory, pieces, size = _memory(), [], 0
    try:
        while piece := stream.read(2**20):
            pieces.append(piece)
            size += len(piece)
            if memory is not None and size > memory // 2:
                raise InputError(f"{name}: is larger than half of the memory of this machine ({memory:,} bytes)")
        return b"".join(pieces)
    except MemoryError as error:
        raise InputError(f"{name}: does not fit into the free memory") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def read_bytes(path: Path, *, beside: int = 0) -> bytes:
    """Return the content of a regular file, as it was at one moment.

    Args:
        path: path of the file, or a :class:`StandardInput`.
        beside: bytes of other files that are in memory at the same time. They count towards the limit, which is half of
            the memory of the machine.

    Raises:
        InputError: the file does not exist, is not a regular file (opening a FIFO would hang, opening a device may
            change its state), is too large, cannot be read, or changed while it was read.
    """
    if isinstance(path, StandardInput):
        return path.content()
    try:
        # Checked before the file is opened and again after: another file may take its name in between.
        _check_regular(path, os.stat(path), beside)
        # O_NONBLOCK: opening a FIFO without a writer returns at once.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            _check_regular(path, before, beside)
            data = _read_all(file, before.st_size)
            # The content of files in /proc and /sys is made while they are read; some of it never ends.
            whole = len(data) == before.st_size
            same = not whole or _is_still(file, data, before)
            after = os.fstat(descriptor)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: does not fit into the free memory") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: not a path: {error}") from error
    if not same or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{path}: changed while it was read; try again")
    if not whole:
        text = f"{path}: its size is given as {before.st_size:,} bytes, but its content has another size"
        raise InputError(f"{text}; copy it to a regular file")
    return data


def _check_regular(path: Path, found: os.stat_result, beside: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: is a directory; give the path of a file")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: is not a regular file; give the path of a file")
    memory = _memory()
    if memory is not None and found.st_size + beside > memory // 2:
        others = f" besides {beside:,} bytes of other files" if beside else ""
        raise InputError(
            f"{path}: has {found.st_size:,} bytes{others}, "
            f"more than half of the memory of this machine ({memory:,} bytes)"
        )


def _memory() -> int | None:
    """Return the bytes of memory that the machine has; ``None`` if the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _read_all(file: io.FileIO, size: int) -> bytes:
    """Return the content of the file, or its first ``size + 1`` bytes if it is longer."""
    pieces: list[bytes] = []
    left = size + 1
    while left:
        piece = file.read(left)  # one call returns 2 GiB at most
        if not piece:  # b"" is the end; None would mean no data yet, which a regular file never answers
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _is_still(file: io.FileIO, data: bytes, found: os.stat_result) -> bool:
    """Return whether a file that was changed less than ``QUIET`` seconds ago still has the content ``data`` after that.

    The modification time has a resolution of some milliseconds. If a writer changes the file twice within one step, and
    is read in between, the content is a mixture of two contents and the time does not show it. On a busy machine the
    writer may be stopped at that point for a while.
    """
    if abs(time.time() - found.st_mtime) > QUIET:
        return True  # a writer that is active now changes the modification time
    time.sleep(QUIET)
    file.seek(0)
    position, view = 0, memoryview(data)
    while piece := file.read(PIECE):
        if view[position : position + len(piece)] != piece:
            return False
        position += len(piece)
    return position == len(data)
