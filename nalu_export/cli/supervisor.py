"""Runs the command in a child process, so that it can be ended at any time, whatever it is doing.

A runtime that computes without end does not react to Ctrl-C, and a runtime that aborts takes the interpreter with it.
The parent process only waits: it can end the child and say so. The child is forked before torch is imported, which
takes about a millisecond.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from nalu_export.errors import EXIT_BAD_INPUT, EXIT_INTERNAL, EXIT_INTERRUPTED

# Seconds between Ctrl-C or SIGTERM and the moment when the command is killed.
GRACE = 2.0
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
# PR_SET_PDEATHSIG of prctl(2): the child dies with its parent.
_DEATH_SIGNAL = 1
# The last message of the command. It is missing if code inside the process ended it, as os._exit does.
_DONE = b"done\n"


class _Channel:
    """The connection between the command and the process that waits for it.

    Attributes:
        descriptor: the command writes its time limit there; ``None`` if no process waits.
        interrupted: whether Ctrl-C came.
    """

    descriptor: int | None = None
    interrupted = False


def limit_time(seconds: float | None) -> None:
    """End this command in ``seconds`` from now; ``None`` sets no limit.

    Without a process that waits (on Windows, or inside another program) this has no effect.
    """
    if seconds is not None and _Channel.descriptor is not None:
        os.write(_Channel.descriptor, f"{time.monotonic() + seconds} {seconds:g}\n".encode())


def was_interrupted() -> bool:
    """Return whether Ctrl-C came. An import that it interrupts may raise another exception."""
    return _Channel.interrupted


def is_supervised() -> bool:
    """Return whether another process waits for this one, so that its limits affect no other program."""
    return _Channel.descriptor is not None


def supervised(command: Callable[[], object]) -> None:
    """Run a command in a child process and exit with its exit code.

    Args:
        command: the command; it ends with ``sys.exit``.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1:
        command()
        return
    # Ctrl-C is blocked until both processes have their handlers. Before that it would cause a traceback.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    reader, writer = os.pipe()
    waiting = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _Channel.descriptor = writer
        _die_with(waiting)
        _interrupt_once()
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            command()
        except KeyboardInterrupt:
            # Ctrl-C during the import of the command line. Later the command handles it itself.
            with contextlib.suppress(OSError):
                os.write(2, b"nalu-export: interrupted\n")
            sys.exit(EXIT_INTERRUPTED)
        finally:
            os.write(writer, _DONE)
        return
    os.close(writer)
    code = _wait(child, reader, mask)
    # This process has nothing to clean up: it has imported little and printed nothing.
    os._exit(code)


def _die_with(parent: int) -> None:
    """End this process when its parent ends, also by kill -9."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_INTERRUPTED)


def _interrupt_once() -> None:
    """Let the first Ctrl-C end the command, and ignore further ones, so that they do not disturb the clean-up."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _Channel.interrupted = True
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _wait(child: int, reader: int, mask: Iterable[int]) -> int:
    """Wait for the command.

    Args:
        child: the process of the command.
        reader: the descriptor that the command writes to.
        mask: the signal mask to restore.

    Returns:
        The exit code of this process.
    """
    ends: tuple[float, str] | None = None
    why: tuple[str, int] | None = None
    done = False
    with _signals() as (woken, received):
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while True:
            status = _status(child)
            if status is not None:
                return _code(status, why, done=done or _DONE in _left(reader))
            now = time.monotonic()
            if ends is not None and now >= ends[0]:
                if why is None:
                    why = (f"not finished within {ends[1]} seconds, the limit of --timeout", EXIT_BAD_INPUT)
                for process in (*_descendants(child), child):
                    with contextlib.suppress(OSError):
                        os.kill(process, signal.SIGKILL)
                ends = None
                continue
            ready, _, _ = select.select([reader, woken], [], [], None if ends is None else ends[0] - now)
            if reader in ready:
                told = os.read(reader, 4096)
                done = done or told.endswith(_DONE)
                limits = told.removesuffix(_DONE).decode().splitlines()
                if limits and why is None:
                    moment, seconds = limits[-1].split()
                    ends = (float(moment), seconds)
                if not told:
                    return _code(os.waitpid(child, 0)[1], why, done=done)
            if woken in ready:
                os.read(woken, 4096)
            while received:
                number = received.pop(0)
                os.kill(child, number)
                if why is None:
                    name = signal.Signals(number).name
                    why = ("interrupted" if number == signal.SIGINT else f"ended by {name}", 128 + number)
                    ends = (time.monotonic() + GRACE, "")


def _descendants(process: int) -> list[int]:
    """Return the processes that a process started, directly or not: the compilers and programs of a check."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                # The name of the program is in parentheses and may contain anything.
                children.setdefault(int(file.read().rpartition(b")")[2].split()[1]), []).append(int(name))
    found, left = [], [process]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def _status(child: int) -> int | None:
    found, status = os.waitpid(child, os.WNOHANG)
    return status if found else None


def _left(reader: int) -> bytes:
    """Return what can be read without waiting."""
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 4096)
    except BlockingIOError:
        return b""


def _code(status: int, why: tuple[str, int] | None, *, done: bool) -> int:
    """Return the exit code of a command, and print a line if the command could not print one itself.

    Args:
        status: of the process, from ``waitpid``.
        why: the line and the exit code, if this process ended the command.
        done: whether the command sent its last message.
    """
    if os.WIFEXITED(status):
        if done:
            return os.WEXITSTATUS(status)
        ended = "code of the model or of a library ended the process"
    else:
        number = os.WTERMSIG(status)
        name = next((each.name for each in signal.Signals if each == number), f"signal {number}")
        memory = ", perhaps because memory ran out" if number == signal.SIGKILL else " in a library or a runtime"
        ended = f"ended by {name}{memory}"
    text, code = why or (f"{ended}; there is no verdict", EXIT_INTERNAL)
    with contextlib.suppress(OSError):
        os.write(2, f"nalu-export: {text}\n".encode())
    return code


@contextlib.contextmanager
def _signals() -> Iterator[tuple[int, list[int]]]:
    """Yield a descriptor that becomes readable when a signal comes, and a list of the signals for the command."""
    received: list[int] = []
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for name in _PASSED_ON:
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda number, _frame: received.append(number))
    try:
        yield woken, received
    finally:
        signal.set_wakeup_fd(-1)
        os.close(woken)
        os.close(waker)
