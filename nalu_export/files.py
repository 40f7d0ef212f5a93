"""Files: read without hanging or surprise, and written so that one is never there in part."""

import contextlib
import io
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nalu_export.errors import InputError

MODE = 0o666  # less the umask, as for any new file
DESCRIPTORS = "/proc/self/fd"


class StandardInput(type(Path())):  # type: ignore[misc]
    """Stands for the path of what comes on standard input, which is read once and kept."""

    TEXT = "standard input"
    _read: bytes | None = None

    def __new__(cls) -> "StandardInput":
        """A path that no file has to have."""
        made: StandardInput = super().__new__(cls, cls.TEXT)
        return made

    def __init__(self) -> None:
        if sys.version_info >= (3, 12):  # which keeps the text here, not in __new__
            super().__init__(self.TEXT)

    def with_segments(self, *parts: str | os.PathLike[str]) -> Path:
        """What Python 3.12 and later make of a part of it: a path as any other."""
        return Path(*parts)

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
            after = os.fstat(descriptor)
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is larger than the memory") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: not a path: {error}") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{path}: changed while it was read; try again")
    if len(data) != before.st_size:
        # Files of /proc and /sys are made as they are read, some of them without end.
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


def check_target(target: Path, source: Path | None) -> None:
    """Refuse a path that an export must not replace.

    Raises:
        InputError: it is the source, a directory or a device, or its folder is not there or cannot be written.
    """
    folder = target.parent
    if "\0" in str(target):
        raise InputError(f"{str(target)!r}: not a path: embedded null byte")
    try:
        if not folder.is_dir():
            raise InputError(f"{target}: its folder {folder} does not exist; create it first")
        if not os.access(folder, os.W_OK):
            raise InputError(f"{target}: its folder {folder} cannot be written to")
        if target.exists() and not target.is_file():
            raise InputError(f"{target}: exists and is not a regular file; choose another output path")
        if source is not None and target.exists() and source.exists() and target.samefile(source):
            raise InputError(f"{target}: is the source itself; choose another output path")
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


def write_atomically(target: Path, data: bytes, verify: Callable[[bytes], None] | None = None) -> None:
    """Put ``data`` at ``target`` in one step: complete, on disk, read back and verified, or not at all.

    Where the system can (Linux), the file has no name until then, so that not even a kill -9 leaves a part of it.

    Args:
        target: final path; a file there is replaced.
        data: the whole content.
        verify: called with what was read back from the disk; what it raises leaves ``target`` untouched.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    with contextlib.ExitStack() as stack:
        with _told_of(target):
            file = stack.enter_context(_NewFile(target.parent))
            file.write(data)
            written = file.read_back()
        if written != data:
            raise InputError(f"{target}: the disk gave back other bytes than were written")
        if verify is not None:
            verify(written)  # outside: an OSError of its own says nothing about the target
        with _told_of(target):
            file.become(target)


@contextlib.contextmanager
def _told_of(target: Path) -> Iterator[None]:
    """An OSError of the system becomes an InputError that names the target."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


class _NewFile(contextlib.AbstractContextManager["_NewFile"]):
    """A file in ``folder`` that is gone at the end of the context unless it has become another one.

    It has no name where the system can do that, and a hidden one elsewhere.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hidden: Path | None = None

    def __enter__(self) -> "_NewFile":
        descriptor = _open_unnamed(self.folder)
        if descriptor is None:
            self.hidden = _hidden_name(self.folder)
            descriptor = os.open(self.hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR, MODE)
        self.descriptor = descriptor
        return self

    def __exit__(self, *exc: object) -> None:
        # What went wrong before is what the user must read, not that cleaning up after it failed as well.
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        if self.hidden is not None:
            with contextlib.suppress(OSError):
                self.hidden.unlink()

    def write(self, data: bytes) -> None:
        """The whole content, on disk when this returns."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.fsync(self.descriptor)

    def read_back(self) -> bytes:
        """What the file holds."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        with open(os.dup(self.descriptor), "rb") as file:
            return file.read()

    def become(self, target: Path) -> None:
        """Take the place of ``target``, in one step for everyone who looks."""
        if self.hidden is None:
            try:
                self._link(target)
            except FileExistsError:
                # A link cannot replace a file, a rename can: the complete file takes a hidden name for that moment.
                self.hidden = _hidden_name(self.folder)
                self._link(self.hidden)
        if self.hidden is not None:
            os.replace(self.hidden, target)
        self._sync_folder()

    def _link(self, name: Path) -> None:
        # Only with a directory descriptor does Python call linkat, which follows the symlink in /proc (gh-81793).
        descriptors = os.open(DESCRIPTORS, os.O_RDONLY)
        try:
            os.link(str(self.descriptor), name, src_dir_fd=descriptors, follow_symlinks=True)
        finally:
            os.close(descriptors)

    def _sync_folder(self) -> None:
        # The target is whole by now. That its name cannot be forced to the disk (a folder that may be written but
        # not read, a system that does not sync folders) must not be told as if nothing had been written.
        with contextlib.suppress(OSError):
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _open_unnamed(folder: Path) -> int | None:
    """A file without a name, or ``None``: not Linux, a file system without them (NFS, FUSE, vfat), or no /proc."""
    if not os.path.isdir(DESCRIPTORS):  # through which alone it can get a name later
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, MODE)
    except (AttributeError, OSError):
        return None


def _hidden_name(folder: Path) -> Path:
    return folder / f".nalu_export.{secrets.token_hex(8)}.tmp"
