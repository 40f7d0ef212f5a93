"""The command in a process of its own, so that its time ends when it should, whatever it is doing.

A runtime that computes without end hears no Ctrl-C, and one that aborts takes the interpreter with it. A process that
does nothing but wait can end the other and say so. It is forked before torch is imported, which takes about a
millisecond.
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

# Seconds that a command has after Ctrl-C or SIGTERM until it is ended.
GRACE = 2.0
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
# A process dies with the one that waits for it: PR_SET_PDEATHSIG of prctl(2).
_DEATH_SIGNAL = 1
# What the command says last; who ends the process from within, as os._exit does, does not say it.
_DONE = b"done\n"


class _Channel:
    """Between the command and the process that waits for it.

    Attributes:
        descriptor: to which the command writes when its time is over; ``None`` where nobody waits.
        interrupted: whether Ctrl-C came.
    """

    descriptor: int | None = None
    interrupted = False


def limit_time(seconds: float | None) -> None:
    """End this command after ``seconds`` from now; ``None`` for never.

    Without a process that waits (Windows, or inside another program) nothing ends it.
    """
    if seconds is not None and _Channel.descriptor is not None:
        os.write(_Channel.descriptor, f"{time.monotonic() + seconds} {seconds:g}\n".encode())


def was_interrupted() -> bool:
    """Whether Ctrl-C came, whatever became of it: an import that it ends may raise something else."""
    return _Channel.interrupted


def is_supervised() -> bool:
    """Whether another process waits for this one, so that its limits are its own."""
    return _Channel.descriptor is not None


def supervised(command: Callable[[], object]) -> None:
    """Run a command, which ends this process with its exit code.

    Args:
        command: ends by ``sys.exit``.
    """
    if not hasattr(os, "fork") or threading.active_count() > 1:
        command()
        return
    # Ctrl-C waits until both processes have their handlers: until then it would end them with a traceback.
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
            # While the command line itself is imported: later it says so by itself.
            with contextlib.suppress(OSError):
                os.write(2, b"nalu-export: interrupted\n")
            sys.exit(EXIT_INTERRUPTED)
        finally:
            os.write(writer, _DONE)
        return
    os.close(writer)
    code = _wait(child, reader, mask)
    # Nothing of this process is left to be done: it has imported little and printed nothing.
    os._exit(code)


def _die_with(parent: int) -> None:
    """End this process when the other ends, also by kill -9."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(EXIT_INTERRUPTED)


def _interrupt_once() -> None:
    """The first Ctrl-C ends the command; more of them must not end what it does about that."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _Channel.interrupted = True
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)


def _wait(child: int, reader: int, mask: Iterable[int]) -> int:
    """Wait for the command and give the exit code of this process; ``mask`` is that of signals from then on."""
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
                    why = (f"not done after {ends[1]} seconds, which --timeout allows", EXIT_BAD_INPUT)
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
    """The processes that a process started, and those that they did: compilers and programs of a check."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
                # The name of the program stands in parentheses and may hold anything.
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
    """What can be read at once."""
    os.set_blocking(reader, False)
    try:
        return os.read(reader, 4096)
    except BlockingIOError:
        return b""


def _code(status: int, why: tuple[str, int] | None, *, done: bool) -> int:
    """The exit code of a command, with a line where it could not say one itself."""
    if os.WIFEXITED(status):
        if done:
            return os.WEXITSTATUS(status)
        ended = "ended from within, by code of the model or of a library"
    else:
        number = os.WTERMSIG(status)
        name = next((each.name for each in signal.Signals if each == number), f"signal {number}")
        memory = ", perhaps for want of memory" if number == signal.SIGKILL else " in a library or a runtime"
        ended = f"ended by {name}{memory}"
    text, code = why or (f"{ended}; nothing was decided", EXIT_INTERNAL)
    with contextlib.suppress(OSError):
        os.write(2, f"nalu-export: {text}\n".encode())
    return code


@contextlib.contextmanager
def _signals() -> Iterator[tuple[int, list[int]]]:
    """A descriptor that can be read when a signal came, and a list of those that are for the command."""
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
