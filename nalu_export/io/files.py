"""Files: read without hanging or surprise, and written so that one is never there in part."""

import io
import os
import stat
import sys
import time
from pathlib import Path

from nalu_export.errors import InputError

# Bytes that are compared at a time.
PIECE = 2**20
# Seconds without a change after which a file is taken for finished.
QUIET = 0.05


class Stream(type(Path())):  # type: ignore[misc]
    """Stands for the path of a standard stream, which no file has to have."""

    TEXT = ""

    def __new__(cls) -> "Stream":
        """A path that no file has to have."""
        made: Stream = super().__new__(cls, cls.TEXT)
        return made

    def __init__(self) -> None:
        if sys.version_info >= (3, 12):  # which keeps the text here, not in __new__
            super().__init__(self.TEXT)

    def with_segments(self, *parts: str | os.PathLike[str]) -> Path:
        """What Python 3.12 and later make of a part of it: a path as any other."""
        return Path(*parts)


class StandardInput(Stream):
    """Stands for the path of what comes on standard input, which is read once and kept."""

    TEXT = "standard input"
    _read: bytes | None = None

    def content(self) -> bytes:
        """All of it.

        Raises:
            InputError: there is none, it is a terminal, or it is too large.
        """
        if self._read is None:
            self._read = _read_stream(self.TEXT)
        return self._read


def as_path(path: str | os.PathLike[str]) -> Path:
    """The path; one that is more than its text, as standard input is, stays what it is."""
    return path if isinstance(path, Path) else Path(path)


def _read_stream(name: str) -> bytes:
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.isatty():
        raise InputError(f"{name}: there is none; give a file, or put one there: cat model.pt | nalu-export -")
    memory, pieces, size = _memory(), [], 0
    try:
        while piece := stream.read(2**20):
            pieces.append(piece)
            size += len(piece)
            if memory is not None and size > memory // 2:
                raise InputError(f"{name}: has more than half of the memory of this machine ({memory:,} bytes)")
        return b"".join(pieces)
    except MemoryError as error:
        raise InputError(f"{name}: is larger than the memory") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from error


def read_bytes(path: Path, *, beside: int = 0) -> bytes:
    """The content of a regular file, as it was at one moment.

    Args:
        path: of the file.
        beside: bytes of other files that are held together with it, and count towards the limit.

    Raises:
        InputError: there is none, it is something else (a FIFO would hang, opening a device may do things), it is too
            large, cannot be read, or changed meanwhile.
    """
    if isinstance(path, StandardInput):
        return path.content()
    try:
        # Before it is opened and again after it: another file may have taken its name in between.
        _check_regular(path, os.stat(path), beside)
        # O_NONBLOCK: opening a FIFO without a writer returns at once.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb", buffering=0) as file:
            before = os.fstat(descriptor)
            _check_regular(path, before, beside)
            data = _read_all(file, before.st_size)
            # Files of /proc and /sys are made as they are read, some of them without end.
            whole = len(data) == before.st_size
            same = not whole or _is_still(file, data, before)
            after = os.fstat(descriptor)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is larger than the memory") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: not a path: {error}") from error
    if not same or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{path}: changed while it was read; try again")
    if not whole:
        raise InputError(f"{path}: holds more or less than the {before.st_size:,} bytes of its size; copy it first")
    return data


def _check_regular(path: Path, found: os.stat_result, beside: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: is a directory; give the path of a file")
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: is not a regular file; give the path of a file")
    memory = _memory()
    if memory is not None and found.st_size + beside > memory // 2:
        others = f" beside {beside:,} of other files" if beside else ""
        raise InputError(
            f"{path}: has {found.st_size:,} bytes{others}, "
            f"more than half of the memory of this machine ({memory:,} bytes)"
        )


def _memory() -> int | None:
    """Bytes of memory that the machine has, ``None`` where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _read_all(file: io.FileIO, size: int) -> bytes:
    """What the file holds, but no more than one byte beyond its size."""
    pieces: list[bytes] = []
    left = size + 1
    while left:
        piece = file.read(left)  # one call gives 2 GiB at most
        if not piece:  # the end, or None: nothing there yet, in a file that is none
            break
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _is_still(file: io.FileIO, data: bytes, found: os.stat_result) -> bool:
    """Whether the file holds these bytes a moment later, where it was changed a moment ago.

    The time of its last change moves in ticks of some milliseconds, so that a writer that is at work between two of
    them leaves a mixture of two contents and no other trace; and a busy machine may stop it there for a while.
    """
    if abs(time.time() - found.st_mtime) > QUIET:
        return True  # whoever writes to it now gives it another time
    time.sleep(QUIET)
    file.seek(0)
    seen, view = 0, memoryview(data)
    while piece := file.read(PIECE):
        if view[seen : seen + len(piece)] != piece:
            return False
        seen += len(piece)
    return seen == len(data)
