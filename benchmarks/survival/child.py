"""One export in a process of its own, as the command runs it, with something done to that process first."""

import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from nalu_export.api import export as exporting
from nalu_export.cli.main import main
from nalu_export.io import targets

NOBODY = 65534
PIECES = 32
PAUSE = 0.008


def run(changes: Sequence[str], arguments: Sequence[str]) -> None:
    """Do ``changes`` to this process, then run ``nalu-export`` with ``arguments``; ends by SystemExit.

    Args:
        changes: names out of ``CHANGES``, as ``name`` or ``name=value``.
        arguments: of the command.
    """
    for change in changes:
        name, _, value = change.partition("=")
        CHANGES[name](value)
    main(args=list(arguments), prog_name="nalu-export")


def without_unnamed_files(_: str) -> None:
    """As on a file system that has no O_TMPFILE."""
    del os.O_TMPFILE


def limit_file_size(value: str) -> None:
    """No file may grow over ``value`` bytes; Python ignores the signal, so that the write fails."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), resource.RLIM_INFINITY))


def become_nobody(_: str) -> None:
    """Another user, whom permissions stop; the interpreter may be out of his reach, so all of it is loaded before."""
    importlib.import_module("benchmarks.survival.preload")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def die_at_step(value: str) -> None:
    """Kill -9 from within, before the line number ``value``, in the order of their running, of the writing."""
    left = int(value)

    def at_line(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return at_line

    def at_call(frame: FrameType, _event: str, _argument: object) -> Any:
        return at_line if frame.f_code.co_filename == targets.__file__ else None

    real = targets.write_atomically

    def traced(*arguments: Any, **named: Any) -> None:
        sys.settrace(at_call)
        try:
            real(*arguments, **named)
        finally:
            sys.settrace(None)

    _write_with(traced)


def write_in_place(_: str) -> None:
    """A mistake to be found: ``target.write_bytes``, as a slow disk would do it."""

    def write(target: Path, data: bytes, verify: Callable[[bytes], None] | None = None) -> None:
        if verify is not None:
            verify(data)
        _write_slowly(target, data)

    _write_with(write)


def write_under_one_temporary_name(_: str) -> None:
    """A mistake to be found: a temporary file and a rename, but every process takes the same temporary name."""

    def write(target: Path, data: bytes, verify: Callable[[bytes], None] | None = None) -> None:
        if verify is not None:
            verify(data)
        temporary = target.with_name(target.name + ".tmp")
        _write_slowly(temporary, data)
        temporary.replace(target)

    _write_with(write)


def _write_with(function: Callable[..., None]) -> None:
    vars(exporting)["write_atomically"] = function


def _write_slowly(path: Path, data: bytes) -> None:
    size = -(-len(data) // PIECES)
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(data), size):
            file.write(data[start : start + size])
            time.sleep(PAUSE)


CHANGES: dict[str, Callable[[str], None]] = {
    "without-unnamed-files": without_unnamed_files,
    "limit-file-size": limit_file_size,
    "become-nobody": become_nobody,
    "die-at-step": die_at_step,
    "write-in-place": write_in_place,
    "write-under-one-temporary-name": write_under_one_temporary_name,
}


def run_warm(
    changes: Sequence[str], arguments: Sequence[str], environment: dict[str, str], outputs: tuple[str, str]
) -> None:
    """:func:`run` in a forked process: with its own standard streams and environment, as a fresh one would have."""
    os.environ.update(environment)
    tempfile.tempdir = None  # what the parent found out is not what TMPDIR says now
    for stream, path in zip((1, 2), outputs, strict=True):
        descriptor = os.open(path, os.O_WRONLY)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    run(changes, arguments)


if __name__ == "__main__":
    separator = sys.argv.index("--")
    run(sys.argv[1:separator], sys.argv[separator + 1 :])
