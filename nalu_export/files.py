"""Files: read without hanging or surprise, and written so that one is never there in part."""

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from nalu_export.errors import InputError


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        InputError: there is none, or it is something else (a FIFO would hang), or it cannot be read.
    """
    try:
        # O_NONBLOCK: opening a FIFO without a writer returns at once, and its mode is then refused below.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise InputError(f"{path}: is not a regular file; give the path of a file")
            return file.read()
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is larger than the memory") from error
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise InputError(f"{path}: is a directory; give the path of a file") from error
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{str(path)!r}: not a path: {error}") from error


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
    try:
        with _unnamed(target.parent) as (descriptor, temporary):
            _write_all(descriptor, data)
            os.fsync(descriptor)
            os.lseek(descriptor, 0, os.SEEK_SET)
            with open(os.dup(descriptor), "rb") as file:
                written = file.read()
            if written != data:
                raise InputError(f"{target}: the disk gave back other bytes than were written")
            if verify is not None:
                verify(written)
            _give_name(descriptor, temporary, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


class _unnamed(contextlib.AbstractContextManager[tuple[int, Path | None]]):  # noqa: N801
    """An open file in ``folder``: without a name where O_TMPFILE works, else under a hidden temporary one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> tuple[int, Path | None]:
        self.temporary: Path | None = None
        mode = 0o666
        try:
            self.descriptor = os.open(self.folder, os.O_TMPFILE | os.O_RDWR, mode)
        except (AttributeError, OSError):
            # No O_TMPFILE: not Linux, or a file system without it (overlay, NFS, FUSE).
            self.temporary = _hidden_name(self.folder)
            self.descriptor = os.open(self.temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, mode)
        return self.descriptor, self.temporary

    def __exit__(self, *exc: object) -> None:
        os.close(self.descriptor)
        if self.temporary is not None:
            self.temporary.unlink(missing_ok=True)


def _hidden_name(folder: Path) -> Path:
    return folder / f".nalu_export.{secrets.token_hex(8)}.tmp"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _give_name(descriptor: int, temporary: Path | None, target: Path) -> None:
    if temporary is None:
        # A link cannot replace a file, a rename can: the complete file takes a hidden name for that moment.
        temporary = _hidden_name(target.parent)
        # Only with a directory descriptor does Python call linkat, which follows the symlink in /proc (gh-81793).
        descriptors = os.open("/proc/self/fd", os.O_RDONLY)
        try:
            os.link(str(descriptor), temporary, src_dir_fd=descriptors, follow_symlinks=True)
        finally:
            os.close(descriptors)
    try:
        os.replace(temporary, target)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
