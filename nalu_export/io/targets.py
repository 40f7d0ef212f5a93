"""Files that are written: what may be replaced, and complete or not at all."""

import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nalu_export.errors import InputError
from nalu_export.io.files import Stream

MODE = 0o666  # less the umask, as for any new file
DESCRIPTORS = "/proc/self/fd"
# What the system keeps there is no place for a file; /dev/shm is one.
SYSTEM = ("/dev", "/proc", "/sys")
ALLOWED = ("/dev/shm",)
INSTEAD = "choose another output path, or - for standard output"
# As many links as Linux follows.
MAX_LINKS = 40


class StandardOutput(Stream):
    """Stands for the path of what goes to standard output."""

    TEXT = "standard output"


def check_target(target: Path, source: Path | None) -> Path:
    """Refuse a path that an export must not replace.

    Returns:
        Where it leads, for :func:`write_atomically`: a link stays what it is, and the file that it points at is
        written. What becomes a link later, to the source for example, is not followed.

    Raises:
        InputError: it is the source, a directory or a device, or its folder is not there or cannot be written; the same
            of the file that it points at, where it is a link.
    """
    if isinstance(target, StandardOutput):
        if sys.stdout is None or sys.stdout.isatty():
            raise InputError(f"{target}: is a terminal, which shows no model; send it to a file or a program")
        return target
    if "\0" in str(target):
        raise InputError(f"{str(target)!r}: not a path: embedded null byte")
    try:
        place = _place_of(target)
        if not target.is_symlink():
            place = target  # errors have the name that the user gave
        folder = place.parent
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
    return place


def _place_of(target: Path) -> Path:
    place = target
    for _ in range(MAX_LINKS):
        # Not the folder's own path: of /tmp/../dev/x both are looked at.
        place = Path(os.path.realpath(place.parent), place.name)
        system = next((folder for folder in SYSTEM if _is_in(place, folder)), None)
        if system is not None and not any(_is_in(place, folder) for folder in ALLOWED):
            raise InputError(f"{target}: is in {system}, where the system has its own; {INSTEAD}")
        if not place.is_symlink():
            return place
        place = place.parent / os.readlink(place)
    raise InputError(f"{target}: is a link that leads in a circle; choose another output path")


def _is_in(place: Path, folder: str) -> bool:
    return place == Path(folder) or Path(folder) in place.parents


def write_atomically(target: Path, data: bytes, verify: Callable[[bytes], None] | None = None) -> None:
    """Put ``data`` at ``target`` in one step: complete, on disk, read back and verified, or not at all.

    Where the system can (Linux), the file has no name until then, so that not even a kill -9 leaves a part of it.

    Args:
        target: final path; a file or a link there is replaced.
        data: the whole content.
        verify: called with what was read back from the disk; what it raises leaves ``target`` untouched.

    Raises:
        InputError: the disk is full, or the folder cannot be written.
    """
    if isinstance(target, StandardOutput):
        if verify is not None:
            verify(data)
        write_to(target, data)
        return
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


def write_to(output: StandardOutput, data: bytes) -> None:
    """Put all of ``data`` on standard output.

    Raises:
        InputError: it cannot be written.
    """
    with _told_of(output):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


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
