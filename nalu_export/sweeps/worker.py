"""A worker process, as its parent sees it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from tempfile import TemporaryFile
from typing import Any

from nalu_export.errors import InputError
from nalu_export.io.text import printable
from nalu_export.sweeps.serving import READY
from nalu_export.sweeps.task import Answer, Limits, Task

# One thread for each library that computes. They read these when they are imported.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
# A program of its own, and no child of multiprocessing: that would run the user's script again, which then needs
# `if __name__ == "__main__"`, and its pools do not say which task was in the process that died.
_PROGRAM = "import sys; sys.path[:] = {path!r}; from nalu_export.sweeps.serving import serve; serve({end}, {parent})"
_GRACE = 5.0


class Worker:
    """A process that does one checkpoint at a time.

    Attributes:
        connection: what :func:`multiprocessing.connection.wait` waits for; it is ready when there is an answer, or when
            the process has ended.
        task: the checkpoint that it has; ``None`` if it waits for one.
        ready: whether it has imported everything.
    """

    def __init__(self, limits: Limits, *, quiet: bool = True) -> None:
        self.task: Task | None = None
        self.ready = False
        self._limits = limits
        self._ends: float | None = None
        self._timed_out = False
        try:
            self._errors: Any = TemporaryFile()  # noqa: SIM115  closed by close()
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise InputError(f"a worker process cannot be started: {error.strerror}") from error
        code = _PROGRAM.format(path=sys.path, end=theirs.fileno(), parent=os.getpid())
        try:
            # In a process group of its own, so that compilers and programs of its checks end with it.
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if quiet else None,
                stderr=self._errors if quiet else None,
                env=os.environ | ONE_THREAD,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        except OSError as error:
            ours.close()
            raise InputError(f"a worker process cannot be started: {error.strerror}") from error
        finally:
            theirs.close()
        self.connection: Connection[Any, Any] = Connection(ours.detach())
        self._send((limits, quiet))

    def give(self, task: Task) -> None:
        """Give it a checkpoint. The time for it starts when the worker is ready."""
        self.task = task
        if self.ready:
            self._start_clock()
        self._send(task)

    def answer(self) -> Answer | None:
        """Return the answer that has come; ``None`` if it says that it is ready.

        Raises:
            EOFError: the process has ended.
        """
        try:
            said = self.connection.recv()
        except OSError as error:
            raise EOFError from error
        if said == READY:
            self.ready = True
            self._start_clock()
            return None
        answer: Answer = said
        self.task, self._ends = None, None
        return answer

    def seconds_left(self) -> float | None:
        """Return the seconds until its checkpoint has taken too long; ``None`` if there is no limit."""
        return None if self._ends is None else max(self._ends - time.monotonic(), 0.0)

    def end_if_late(self) -> None:
        """End the process if its checkpoint has taken too long."""
        if self.seconds_left() == 0.0:
            self._timed_out = True
            self.kill()

    @property
    def timed_out(self) -> bool:
        """Whether it was ended because its checkpoint had taken too long."""
        return self._timed_out

    def how_it_ended(self) -> str:
        """Return how the process ended, in words; call it after an EOFError."""
        if self._timed_out:
            return f"took longer than {self._limits.seconds:g} seconds"
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)
        code = self._process.returncode
        if code is None or code >= 0:
            said = self._last_words()
            return f"its worker ended by itself, by code of the model or of a library{said and f': {said}'}"
        name = next((each.name for each in signal.Signals if each == -code), f"signal {-code}")
        memory = ", perhaps for want of memory" if code == -signal.SIGKILL else " in a library or a runtime"
        return f"its worker was ended by {name}{memory}"

    def kill(self) -> None:
        """End the process and what it started."""
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it and free what belongs to it."""
        self.kill()
        self.connection.close()
        self._errors.close()

    def _send(self, message: object) -> None:
        # A process that has ended is found when its answer is read.
        with contextlib.suppress(OSError):
            self.connection.send(message)

    def _start_clock(self) -> None:
        if self.task is not None and self._limits.seconds is not None:
            self._ends = time.monotonic() + self._limits.seconds

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(self._errors.tell() - 4096, 0))
        lines = [line for line in self._errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
        return printable(lines[-1])[:300] if lines else ""
