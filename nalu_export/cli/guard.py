"""Turns whatever a command raises into one line and an exit code."""

import contextlib
import errno
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import click

from nalu_export.errors import (
    EXIT_BAD_INPUT,
    EXIT_BROKEN_PIPE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    NaluExportError,
    first_line,
    no_memory,
)
from nalu_export.io.text import printable, printable_lines
from nalu_export.process.output import discard_output

T = TypeVar("T")
# Errors of standard output. A file that cannot be written raises InputError where it is written.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# What click itself raises to end a command.
_OF_CLICK = (click.ClickException, click.exceptions.Exit, click.Abort)
# Characters of the text of an unexpected exception; --debug shows all of it.
MAX_TEXT = 300


class Ended(Exception):  # noqa: N818  it is how a command ends
    """A command must end with this exit code; the error was printed.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def guarded(run: Callable[[], T], *, debug: bool, was_interrupted: Callable[[], bool] = lambda: False) -> T:
    """Call ``run`` and return its result.

    Args:
        run: the command.
        debug: whether to show the traceback of an error that this package did not raise on purpose.
        was_interrupted: returns whether Ctrl-C came, which some libraries turn into an error of their own.

    Raises:
        Ended: anything was raised that click does not handle itself.
    """
    try:
        return run()
    except _OF_CLICK:
        raise
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt) or was_interrupted()
        raise Ended(end_of(error, debug=debug, interrupted=interrupted)) from error


def end_of(error: BaseException, *, debug: bool, interrupted: bool = False) -> int:
    """Print in one line why a command ends.

    Args:
        error: the exception that is being handled.
        debug: whether to show the traceback of an error that this package did not raise on purpose.
        interrupted: whether Ctrl-C caused it.

    Returns:
        The exit code.
    """
    if isinstance(error, BrokenPipeError):
        discard_output()
        return EXIT_BROKEN_PIPE
    if debug and not isinstance(error, NaluExportError):
        with contextlib.suppress(OSError, ValueError):
            click.echo(printable_lines(traceback.format_exc()), err=True, nl=False)
    code, text = (EXIT_INTERRUPTED, "interrupted") if interrupted else said_of(error)
    if isinstance(error, OSError) and error.errno in FULL:
        discard_output()
    _tell(text)
    return code


def said_of(error: BaseException) -> tuple[int, str]:
    """Return the exit code for an exception, and the line to print."""
    if isinstance(error, NaluExportError):
        return error.exit_code, str(error)
    if isinstance(error, SystemExit):
        # Only the user's own code raises it here. Its exit code would look like a verdict.
        return EXIT_BAD_INPUT, f"the model's code ends the program: SystemExit: {first_line(error)}"
    if (fault := no_memory(error)) is not None:
        return fault.exit_code, str(fault)
    if isinstance(error, OSError) and error.errno in FULL:
        return EXIT_BAD_INPUT, f"the output cannot be written: {error.strerror}"
    kind, what = type(error).__name__, first_line(error)[:MAX_TEXT]
    what = kind if what == kind else f"{kind}: {what}"
    return EXIT_INTERNAL, f"internal error, there is no verdict: {what}; --debug shows the traceback, please report it"


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"nalu-export: {printable(text)}", err=True)


def without_debug(arguments: list[Any]) -> tuple[list[Any], bool]:
    """Remove ``--debug``, which may be anywhere before ``--``.

    Returns:
        The other arguments, and whether ``--debug`` was among them.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word != "--debug"]
    return kept + arguments[end:], len(kept) < end
