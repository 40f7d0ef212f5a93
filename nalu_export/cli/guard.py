"""The end of every command: one line and an exit code, whatever was raised where."""

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
# A file that cannot be written is an InputError where it happens, so that this is about what was printed.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# What click itself ends a command with.
_OF_CLICK = (click.ClickException, click.exceptions.Exit, click.Abort)
# Of what is raised with a text; longer ones are for --debug.
MAX_TEXT = 300


class Ended(Exception):  # noqa: N818  it is how a command ends
    """A command is to end with an exit code; what there was to say was said.

    Attributes:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def guarded(run: Callable[[], T], *, debug: bool, was_interrupted: Callable[[], bool] = lambda: False) -> T:
    """Call ``run`` and give its result.

    Args:
        run: the command.
        debug: whether to show the traceback of what is a fault of this program.
        was_interrupted: whether Ctrl-C came, which some libraries turn into an error of their own.

    Raises:
        Ended: anything was raised that is not click's own.
    """
    try:
        return run()
    except _OF_CLICK:
        raise
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt) or was_interrupted()
        raise Ended(end_of(error, debug=debug, interrupted=interrupted)) from error


def end_of(error: BaseException, *, debug: bool, interrupted: bool = False) -> int:
    """Say in one line how a command ends, and give its exit code.

    Args:
        error: that is being handled.
        debug: whether to show the traceback of what is a fault of this program.
        interrupted: whether it comes of Ctrl-C.
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
    """The exit code for an exception, and the line that is said."""
    if isinstance(error, NaluExportError):
        return error.exit_code, str(error)
    if isinstance(error, SystemExit):
        # Only a user's own code raises it here, and its code would look like a verdict.
        return EXIT_BAD_INPUT, f"the model's code ends the program: SystemExit: {first_line(error)}"
    if (fault := no_memory(error)) is not None:
        return fault.exit_code, str(fault)
    if isinstance(error, OSError) and error.errno in FULL:
        return EXIT_BAD_INPUT, f"the output cannot be written: {error.strerror}"
    kind, what = type(error).__name__, first_line(error)[:MAX_TEXT]
    what = kind if what == kind else f"{kind}: {what}"
    return EXIT_INTERNAL, f"internal error, nothing was decided: {what}; --debug shows where, please report it"


def _tell(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        click.echo(f"nalu-export: {printable(text)}", err=True)


def without_debug(arguments: list[Any]) -> tuple[list[Any], bool]:
    """The arguments without ``--debug``, which may stand anywhere before ``--``; and whether it did."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word != "--debug"]
    return kept + arguments[end:], len(kept) < end
