"""Starts exports as processes: cold ones as a user does, warm ones forked from a process that has torch loaded."""

import functools
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.survival import child

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0


class Process(Protocol):
    """What both kinds of process can do."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    def kill(self) -> None:
        """Send SIGKILL."""


@dataclass(frozen=True)
class Running:
    """An export that was started.

    Attributes:
        process: it.
        wait: blocks until it has ended and gives its exit code, negative after a signal.
        over: whether it has ended.
        outputs: the files with what it wrote to stdout and stderr.
    """

    process: Process
    wait: Callable[[], int]
    over: Callable[[], bool]
    outputs: tuple[Path, Path]

    @property
    def pid(self) -> int:
        """Its number."""
        assert self.process.pid is not None
        return self.process.pid

    def kill(self) -> int:
        """SIGKILL; the exit code says whether that came before its own end."""
        self.process.kill()
        return self.wait()

    def said(self) -> str:
        """What it wrote to stderr."""
        return self.outputs[1].read_text()


class Launch(Protocol):
    """Starts ``nalu-export ARGUMENTS``."""

    def __call__(self, arguments: Sequence[str], logs: Path, changes: Sequence[str] = ()) -> Running:
        """Start it.

        Args:
            arguments: of the command.
            logs: an empty folder for what it says; its subfolder ``tmp`` is where its temporary files go.
            changes: what is done to the process first, see :data:`benchmarks.survival.child.CHANGES`.
        """


def cold(arguments: Sequence[str], logs: Path, changes: Sequence[str] = ()) -> Running:
    """``python -m nalu_export``, from the start of the interpreter."""
    outputs = _outputs(logs)
    start = ["-m", "benchmarks.survival.child", *changes, "--"] if changes else ["-m", "nalu_export"]
    with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, *start, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=logs,
            env=os.environ | _environment(logs),
        )
    command = _Command(process)
    return Running(command, command.wait, lambda: process.poll() is not None, outputs)


class _Command:
    """The command as a user starts it: a process that waits for the one that works.

    Args:
        waiting: the former, or the only one there is.
    """

    def __init__(self, waiting: subprocess.Popen[bytes]) -> None:
        self._waiting = waiting

    @property
    def pid(self) -> int:
        """Of the process that works, once there is one."""
        return next(iter(self._working()), self._waiting.pid)

    def kill(self) -> None:
        """What a user kills is the process that waits."""
        working = self._working()
        self._waiting.kill()
        # The other one dies with it, a moment later.
        end = time.monotonic() + TIMEOUT
        while any(_runs(process) for process in working) and time.monotonic() < end:
            time.sleep(0.001)

    def wait(self) -> int:
        """Until the command has ended; its exit code, negative after a signal."""
        return self._waiting.wait(TIMEOUT)

    def _working(self) -> list[int]:
        waiting = self._waiting.pid
        try:
            return [int(word) for word in Path(f"/proc/{waiting}/task/{waiting}/children").read_text().split()]
        except OSError:  # it has ended
            return []


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except OSError:
        return False
    return state != b"Z"


def warm(arguments: Sequence[str], logs: Path, changes: Sequence[str] = ()) -> Running:
    """The same command in a process that was forked after the imports: only the export itself takes time."""
    outputs = _outputs(logs)
    texts = (str(outputs[0]), str(outputs[1]))
    process = warm_server().Process(
        target=child.run_warm, args=(tuple(changes), tuple(arguments), _environment(logs), texts)
    )
    process.start()

    def wait() -> int:
        process.join(TIMEOUT)
        if process.exitcode is None:
            raise TimeoutError(f"{arguments}: still running after {TIMEOUT} s")
        return int(process.exitcode)

    return Running(process, wait, lambda: process.exitcode is not None, outputs)


def _outputs(logs: Path) -> tuple[Path, Path]:
    (logs / "tmp").mkdir(exist_ok=True)
    (logs / "tmp").chmod(0o777)
    outputs = (logs / "stdout", logs / "stderr")
    for path in outputs:
        path.write_bytes(b"")
    return outputs


def _environment(logs: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "TMPDIR": str(logs / "tmp")}


@functools.cache
def warm_server() -> Any:
    """The server that warm processes are forked from; it ends with this process, and is best started before the clock.

    One thread, because the threads of a pool do not live on in what is forked.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.survival.preload"])
    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "OMP_NUM_THREADS")}
    os.environ.update(PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    try:
        ready = context.Process(target=os.getpid)  # comes back when the server has imported everything
        ready.start()
        ready.join()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context
