"""What can go wrong, the exit code that the command line gives for it, and how a text names an option."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

EXIT_OK = 0
EXIT_PARITY_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_RUNTIME_MISSING = 3
# EX_SOFTWARE of sysexits.h: a fault of this program or of a library, so that nothing was decided.
EXIT_INTERNAL = 70
# 128 and the number of SIGINT, as shells have it.
EXIT_INTERRUPTED = 130
# The same of SIGPIPE: whoever read the output closed it.
EXIT_BROKEN_PIPE = 141


class NaluExportError(Exception):
    """Base of every error that this package raises on purpose; its text is one line for a person.

    Attributes:
        exit_code: what the command line exits with when this error ends it.
    """

    exit_code: int = EXIT_BAD_INPUT


class InputError(NaluExportError, ValueError):
    """A file, an argument or a model that cannot be used; the text says what to do instead."""


class UnsupportedLayerError(NaluExportError):
    """A layer computes something that has no primitive; the text names the layer and the operation."""


class ParityError(NaluExportError):
    """An artifact does not compute what its model computes.

    Attributes:
        report: the full :class:`nalu_export.parity.Report`, or ``None`` when no output could be compared.
    """

    exit_code = EXIT_PARITY_FAILED

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class RuntimeUnavailableError(NaluExportError):
    """The runtime that was asked for is not there; a check that did not run is never a pass."""

    exit_code = EXIT_RUNTIME_MISSING


class OutOfMemoryError(NaluExportError, MemoryError):
    """A run wants more memory than there is, or than it may take; nothing was decided."""


# How the command line spells an argument of the Python API; ``None`` in Python.
_FLAG: ContextVar[Callable[[str], str] | None] = ContextVar("flag", default=None)


def option(name: str, value: object = None, *, typed: str = "") -> str:
    """An option as the reader of a text gives it: ``input_size`` in Python, ``--input-size`` on the command line.

    Args:
        name: of the Python argument.
        value: to give it: ``layout='OWNER:UNIT'`` or ``--layout OWNER:UNIT``. Several words are a tuple in Python.
        typed: what a user of the command line types, where that is not the flag and the value.
    """
    flag = _FLAG.get()
    if flag is None:
        return name if value is None else f"{name}={_argument(value)}"
    if typed:
        return typed
    if isinstance(value, bool):
        return flag(name)
    return flag(name) if value is None else f"{flag(name)} {value}"


def at_command_line(text: str) -> str:
    """A text that only a user of the command line can act on; empty in Python."""
    return "" if _FLAG.get() is None else text


@contextmanager
def spelling_flags(flag: Callable[[str], str]) -> Iterator[None]:
    """While this is entered, texts name options as the command line does.

    Args:
        flag: gives the flag of an argument of the Python API.
    """
    token = _FLAG.set(flag)
    try:
        yield
    finally:
        _FLAG.reset(token)


def _argument(value: object) -> str:
    """A value as Python source; a text that is a number stands for the number."""
    if not isinstance(value, str):
        return repr(value)
    words = value.split()
    if len(words) > 1 and all(len(word) == 1 for word in words):
        return f"({', '.join(words)})"
    try:
        float(value)
    except ValueError:
        return repr(value)
    return value


# What torch, ONNX Runtime, and the libraries of C++ and Rust say, who raise errors of other types.
_NO_MEMORY = re.compile(
    r"bad_alloc|(?:can't|cannot|failed to) allocate (?:memory|layout)|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)


def no_memory(error: BaseException) -> OutOfMemoryError | None:
    """The error as one of memory, where it is that."""
    if isinstance(error, OutOfMemoryError):
        return error
    if not isinstance(error, MemoryError) and not _NO_MEMORY.search(_text(error)):
        return None
    return OutOfMemoryError(f"needs more memory than there is{at_command_line(', or than --max-memory allows')}")


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, or its type where it has none."""
    lines = [line.strip() for line in _text(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  __str__ of somebody else's exception
        return ""
