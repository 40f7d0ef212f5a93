"""An exported file with its metadata: read back, and written so that it is never there in part."""

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nalu_export.errors import InputError

TEXTS = ("tool", "torch", "source_sha256", "weights", "compute")
# Lists of objects, with the texts that each object must have.
TABLES = {"layers": ("path", "type"), "inputs": ("name", "dtype"), "outputs": ("name", "dtype")}
KEYS = (*TEXTS, *TABLES, "parity")


@dataclass(frozen=True)
class Artifact:
    """An exported file.

    Attributes:
        path: where it is.
        format: name of its format.
        data: its bytes.
        metadata: one JSON text for each key, prefixed ``nalu_export.`` in the file; empty for a foreign file.
        report: the parity report of the export, ``None`` where there was no check.
        notes: what the export did differently from what was asked.
    """

    path: Path
    format: str
    data: bytes
    metadata: dict[str, Any]
    report: Any = None
    notes: tuple[str, ...] = ()


def encode_metadata(metadata: dict[str, Any]) -> dict[str, str]:
    """Flat texts for a file: strings as they are, everything else as compact JSON."""
    return {
        f"nalu_export.{key}": value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in metadata.items()
    }


def decode_metadata(texts: Mapping[Any, Any]) -> dict[str, Any]:
    """The inverse of :func:`encode_metadata`; keys of other tools are left out.

    Raises:
        InputError: a value is not what an export writes under its key; the file may come from anyone.
    """
    metadata: dict[str, Any] = {}
    for key, text in texts.items():
        if not isinstance(key, str) or not isinstance(text, str):  # protobuf gives bytes where a text is not UTF-8
            raise InputError("its metadata is not text")
        name = key.removeprefix("nalu_export.")
        if name == key or name not in KEYS:
            continue
        if name in TEXTS:
            metadata[name] = text
            continue
        try:
            metadata[name] = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"its metadata {key} is not JSON") from error
        if not _is_well_formed(name, metadata[name]):
            raise InputError(f"its metadata {key} is not what an export writes")
    return metadata


def _is_well_formed(name: str, value: Any) -> bool:
    if name not in TABLES:
        return isinstance(value, dict)
    return isinstance(value, list) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(field), str) for field in TABLES[name])
        and (name == "layers" or _is_shape(row.get("shape")))
        for row in value
    )


def _is_shape(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(size, str) or (type(size) is int and 0 <= size < 2**63) for size in value
    )


def read_artifact(path: str | os.PathLike[str]) -> Artifact:
    """Read an exported file of any format; the format is told from the content, and none of it is run.

    Raises:
        InputError: the file cannot be read, is of no known format, or is damaged.
    """
    from nalu_export import formats

    where = Path(path)
    artifact = find_artifact(where)
    if artifact is None:
        raise InputError(f"{where}: is not an exported file; expected {' or '.join(formats.names())}")
    return artifact


def find_artifact(path: Path) -> Artifact | None:
    """As :func:`read_artifact`, but ``None`` for a file of no known format."""
    from nalu_export import formats

    data = read_bytes(path)
    for name in formats.names():
        candidate = formats.get(name)
        if candidate.recognises(data):
            try:
                return Artifact(path, name, data, decode_metadata(candidate.read_metadata(data)))
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
    return None


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
                raise InputError(f"{path}: is not a regular file; give the path of a model file")
            return file.read()
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: is larger than the memory") from error
    except OSError as error:
        if isinstance(error, IsADirectoryError):
            raise InputError(f"{path}: is a directory; give the path of a model file") from error
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
