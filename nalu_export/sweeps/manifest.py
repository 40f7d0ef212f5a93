"""The manifest of a sweep: a line of JSON for each result, appended and forced to the disk as soon as it is there."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from nalu_export.errors import InputError
from nalu_export.io.targets import check_target
from nalu_export.io.text import visible_json
from nalu_export.sweeps.records import Key, Record

NAME = "manifest.jsonl"
LOCK = ".sweep.lock"
# Longer lines are not of a record.
MAX_LINE = 10**6


class Manifest:
    """The open manifest of a folder, and what earlier sweeps recorded in it.

    Attributes:
        path: path of the file.
        known: earlier records by key and name; of several with one key and name the last.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.known: dict[Key, dict[str, Record]] = {}
        self._lock: IO[bytes] | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> "Manifest":
        """Lock the folder and read the manifest.

        Raises:
            InputError: another sweep writes into the folder, or it cannot be written to.
        """
        try:
            self._lock = _locked(self.path.with_name(LOCK))
            place = check_target(self.path, None)
            self._file = open(place, "a+b")
            whole = self._read(self._file)
            # The last line of a sweep that was killed may be incomplete.
            self._file.truncate(whole)
        except OSError as error:
            self.__exit__(None, None, None)
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._file, self._lock):
            if file is not None:
                file.close()  # which gives up the lock
        self._file = self._lock = None

    def append(self, record: Record) -> None:
        """Append a record. It is on the disk when this returns.

        Raises:
            InputError: the disk is full, or the file cannot be written; the manifest stays as it was.
        """
        assert self._file is not None
        line = visible_json(json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False)).encode() + b"\n"
        before = self._file.seek(0, os.SEEK_END)
        descriptor = self._file.fileno()
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, before)
            raise InputError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._remember(record)

    def _read(self, file: IO[bytes]) -> int:
        """Read all records, and return the length of the complete lines."""
        whole = 0
        for line in _lines(file):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            # Lines of another schema, or damaged ones, are of no use; they stay where they are.
            with contextlib.suppress(ValueError, RecursionError):
                self._remember(Record.from_dict(json.loads(line)))
        return whole

    def _remember(self, record: Record) -> None:
        self.known.setdefault(record.key, {})[record.name] = record


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while line := file.readline(MAX_LINE):
        while not line.endswith(b"\n") and (more := file.readline(MAX_LINE)):
            line += more
        yield line


def _locked(path: Path) -> IO[bytes]:
    """Open and lock a file. The system gives up the lock when this process ends, whatever ends it.

    Raises:
        InputError: another process has the lock.
    """
    file = open(check_target(path, None), "a+b")  # noqa: SIM115  it is open as long as the lock is held
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows, where two sweeps into one folder are not noticed
        pass
    except BlockingIOError as error:
        file.close()
        raise InputError(
            f"{path.parent}: another sweep writes into this folder; wait for it, or choose another"
        ) from error
    except OSError:  # a file system without locks
        pass
    return file
