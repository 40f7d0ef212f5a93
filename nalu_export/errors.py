"""The errors of this package, the exit codes of the command line, and the names of options in texts."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

EXIT_OK = 0
EXIT_PARITY_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_RUNTIME_MISSING = 3
# EX_SOFTWARE of sysexits.h: this program or a library has a fault, so there is no verdict.
EXIT_INTERNAL = 70
# 128 plus the number of SIGINT, as in a shell.
EXIT_INTERRUPTED = 130
# 128 plus the number of SIGPIPE: the reader of the output closed the pipe.
EXIT_BROKEN_PIPE = 141


class NaluExportError(Exception):
    """Base class of the errors that this package raises on purpose. The text is one line, written for a person.

    Attributes:
        exit_code: exit code of a command that this error ends.
    """

    exit_code: int = EXIT_BAD_INPUT


class InputError(NaluExportError, ValueError):
    """A file, an argument or a model cannot be used; the text says what to do instead."""


class UnsupportedLayerError(NaluExportError):
    """A layer uses an operation that is not a primitive; the text names the layer and the operation."""


class ParityError(NaluExportError):
    """An artifact does not compute what its model computes, or no output could be compared.

    Attributes:
        report: the :class:`nalu_export.parity.Report` of the check; ``None`` if the error was raised without one.
    """

    exit_code = EXIT_PARITY_FAILED

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class RuntimeUnavailableError(NaluExportError):
    """A requested runtime or its device is not available. A check that did not run is never a pass."""

    exit_code = EXIT_RUNTIME_MISSING


class OutOfMemoryError(NaluExportError, MemoryError):
    """A run needs more memory than is available or allowed, so there is no verdict."""


# Gives the command-line flag of an argument of the Python API; ``None`` when the package is used from Python.
_FLAG: ContextVar[Callable[[str], str] | None] = ContextVar("flag", default=None)


def option(name: str, value: object = None, *, typed: str = "") -> str:
    """Return an option as its user writes it: ``input_size`` in Python, ``--input-size`` on the command line.

    Args:
        name: name of the Python argument.
        value: value to show with it: ``layout='OWNER:UNIT'`` or ``--layout OWNER:UNIT``. Single letters with spaces
            between them become a tuple in Python: ``"H W"`` becomes ``(H, W)``.
        typed: text to show on the command line instead of the flag and the value.
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
    """Return ``text`` on the command line and an empty string in Python."""
    return "" if _FLAG.get() is None else text


@contextmanager
def spelling_flags(flag: Callable[[str], str]) -> Iterator[None]:
    """Make texts name options as the command line does, until the context ends.

    Args:
        flag: returns the flag for the name of an argument of the Python API.
    """
    token = _FLAG.set(flag)
    try:
        yield
    finally:
        _FLAG.reset(token)


def _argument(value: object) -> str:
    """Return a value as Python source. A text that is a number stays without quotes."""
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


# Torch, ONNX Runtime and the C++ and Rust libraries report a failed allocation with these texts, in errors of other
# types than MemoryError.
_NO_MEMORY = re.compile(
    r"bad_alloc|(?:can't|cannot|failed to) allocate (?:memory|layout)|memory allocation of \d+ bytes failed",
    re.IGNORECASE,
)


def no_memory(error: BaseException) -> OutOfMemoryError | None:
    """Return an :class:`OutOfMemoryError` if ``error`` reports a failed allocation, else ``None``."""
    if isinstance(error, OutOfMemoryError):
        return error
    if not isinstance(error, MemoryError) and not _NO_MEMORY.search(_text(error)):
        return None
    return OutOfMemoryError(f"needs more memory than there is{at_command_line(', or than --max-memory allows')}")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's text that is not blank, or the name of its type if there is none."""
    lines = [line.strip() for line in _text(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  __str__ of a foreign exception may raise anything
        return ""
