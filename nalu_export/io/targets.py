"""Writes output files: refuses paths that must not be replaced, and writes a file completely or not at all."""

import contextlib
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from nalu_export.errors import InputError
from nalu_export.io.files import Stream

MODE = 0o666  # the umask is subtracted, as for any new file
DESCRIPTORS = "/proc/self/fd"
# Folders of the system, in which no file is written, except in /dev/shm.
SYSTEM = ("/dev", "/proc", "/sys")
ALLOWED = ("/dev/shm",)
CHOOSE_ANOTHER = "choose another output path"
# The number of symbolic links that Linux follows.
MAX_LINKS = 40


class StandardOutput(Stream):
    """A path that stands for standard output."""

    TEXT = "standard output"


def check_target(target: Path, source: Path | None) -> Path:
    """Refuse an output path that must not be replaced, and resolve it if it is a symbolic link.

    Args:
        target: output path that the user gave.
        source: path of the file that is read, ``None`` if there is none.

    Returns:
        The path for :func:`write_atomically`: ``target`` itself, or if it is a symbolic link, the path at the end of
        its links. So the link stays, and the file that it points at is replaced. Links are resolved only here: if a
        link takes the place of the returned path later, for example a link to the source, it is not followed.

    Raises:
        InputError: the path, or what it links to, is the source, exists and is not a regular file, or is in a folder of
            the system; its folder does not exist or cannot be written to; or standard output is closed or a terminal.
    """
    if isinstance(target, StandardOutput):
        if sys.stdout is None or sys.stdout.isatty():
            what = "closed" if sys.stdout is None else "a terminal"
            raise InputError(f"{target}: is {what}; redirect it to a file or pipe it to a program")
        return target
    if "\0" in str(target):
        raise InputError(f"{str(target)!r}: not a path: embedded null byte")
    try:
        place = _place_of(target)
        if not target.is_symlink():
            place = target  # later errors show the path as the user gave it
        folder = place.parent
        if not folder.is_dir():
            raise InputError(f"{target}: its folder {folder} does not exist; create it first")
        if not os.access(folder, os.W_OK):
            raise InputError(f"{target}: its folder {folder} cannot be written to; {CHOOSE_ANOTHER}")
        if target.exists() and not target.is_file():
            raise InputError(f"{target}: exists and is not a regular file; {CHOOSE_ANOTHER}")
        if source is not None and target.exists() and source.exists() and target.samefile(source):
            raise InputError(f"{target}: is the source itself; {CHOOSE_ANOTHER}")
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error
    return place


def _place_of(target: Path) -> Path:
    """Return the path at the end of the symbolic links of ``target``, in a folder without links.

    Raises:
        InputError: that path, or one of the links on the way to it, is in a folder of the system; or the links do not
            end.
    """
    place = target
    for _ in range(MAX_LINKS):
        # Resolves the folder, so /tmp/../dev/x is found to be in /dev. The last name may be a link, which comes next.
        place = Path(os.path.realpath(place.parent), place.name)
        system = next((folder for folder in SYSTEM if _is_in(place, folder)), None)
        if system is not None and not any(_is_in(place, folder) for folder in ALLOWED):
            raise InputError(
                f"{target}: is in {system}, a folder of the system; {CHOOSE_ANOTHER}, or - for standard output"
            )
        if not place.is_symlink():
            return place
        place = place.parent / os.readlink(place)
    raise InputError(f"{target}: is a link that leads in a circle; {CHOOSE_ANOTHER}")


def _is_in(place: Path, folder: str) -> bool:
    return place == Path(folder) or Path(folder) in place.parents


def write_atomically(target: Path, data: bytes, verify: Callable[[bytes], None] | None = None) -> None:
    """Write a file that appears at ``target`` in one step, complete and verified, or not at all.

    The data is forced to the disk, read back and verified before it gets the name ``target``. Where Linux and the file
    system allow it, the new file has no name until then, so even kill -9 leaves no part of it. Elsewhere it has a
    hidden name in the same folder until then, which kill -9 leaves behind. If ``target`` exists, the complete file has
    such a hidden name for a moment.

    The file that has the name ``target`` is replaced and never changed in place:

    - If ``target`` is a symbolic link, the link itself is replaced. The file that it points at is not touched. To write
      that file instead, pass the path that :func:`check_target` returns.
    - Symbolic links among the folders of ``target`` are followed.
    - Other hard links to the replaced file keep the old content.
    - The new file has the permissions of any new file, not those of the replaced one.

    Standard output is not written in one step: an error may come when a part of the data is written.

    Args:
        target: final path, or a :class:`StandardOutput`.
        data: the whole content.
        verify: called with the bytes that were read back, or with ``data`` for standard output, before ``target`` is
            touched. Its exceptions are passed on unchanged, and ``target`` stays as it was.

    Raises:
        InputError: the disk is full, the folder does not exist or cannot be written to, ``target`` is a directory, or
            the bytes that were read back differ; ``target`` stays as it was.
    """
    if isinstance(target, StandardOutput):
        if verify is not None:
            verify(data)
        write_to(target, data)
        return
    with contextlib.ExitStack() as stack:
        with _errors_name(target):
            file = stack.enter_context(_NewFile(target.parent))
            file.write(data)
            written = file.read_back()
        if written != data:
            raise InputError(f"{target}: the bytes read back from the disk differ from those written; {CHOOSE_ANOTHER}")
        if verify is not None:
            verify(written)  # outside the with, because an OSError that it raises is not about the target
        with _errors_name(target):
            file.become(target)


def write_to(output: StandardOutput, data: bytes) -> None:
    """Write all of ``data`` to standard output, and flush it.

    Raises:
        InputError: standard output cannot be written.
    """
    with _errors_name(output):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _errors_name(target: Path) -> Iterator[None]:
    """Turn an OSError into an InputError that names the target."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror}") from error


class _NewFile(contextlib.AbstractContextManager["_NewFile"]):
    """A new file in ``folder``, which is deleted at the end of the context unless :meth:`become` gave it its name.

    Until then it has no name if the system supports that, else a hidden one.
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
        # The user must see the first error, not one of the clean-up after it.
        with contextlib.suppress(OSError):
            os.close(self.descriptor)
        if self.hidden is not None:
            with contextlib.suppress(OSError):
                self.hidden.unlink()

    def write(self, data: bytes) -> None:
        """Write the whole content and force it to the disk."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.fsync(self.descriptor)

    def read_back(self) -> bytes:
        """Return the content of the file."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        with open(os.dup(self.descriptor), "rb") as file:
            return file.read()

    def become(self, target: Path) -> None:
        """Give the file the name ``target``, in one step for every other process; whatever had the name is replaced."""
        if self.hidden is None:
            try:
                self._link(target)
            except FileExistsError:
                # linkat cannot replace an existing name, a rename can. So the complete file gets a hidden name first.
                self.hidden = _hidden_name(self.folder)
                self._link(self.hidden)
        if self.hidden is not None:
            os.replace(self.hidden, target)
        self._sync_folder()

    def _link(self, name: Path) -> None:
        # Python calls linkat, which follows the symlink in /proc, only if it is given a directory descriptor
        # (CPython issue 81793).
        descriptors = os.open(DESCRIPTORS, os.O_RDONLY)
        try:
            os.link(str(self.descriptor), name, src_dir_fd=descriptors, follow_symlinks=True)
        finally:
            os.close(descriptors)

    def _sync_folder(self) -> None:
        # The target is complete now. Some folders cannot be forced to the disk (write-only folders, systems without
        # fsync of folders); an error would wrongly say that nothing was written.
        with contextlib.suppress(OSError):
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _open_unnamed(folder: Path) -> int | None:
    """Open a new file without a name, and return its descriptor.

    ``None`` if the system is not Linux, has no /proc, or the file system (NFS, FUSE, vfat …) has no such files.
    """
    if not os.path.isdir(DESCRIPTORS):  # without it the file cannot get a name later
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, MODE)
    except (AttributeError, OSError):
        return None


def _hidden_name(folder: Path) -> Path:
    return folder / f".nalu_export.{secrets.token_hex(8)}.tmp"
