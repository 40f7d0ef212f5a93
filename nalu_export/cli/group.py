"""The group of all commands: ``export`` is the default, a mistyped name gets a suggestion, an error is one line."""

import difflib
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem
from click_default_group import DefaultGroup

from nalu_export.cli.guard import Ended, guarded, without_debug
from nalu_export.cli.headed import Context
from nalu_export.cli.spelling import flag
from nalu_export.cli.supervisor import was_interrupted
from nalu_export.errors import InputError, spelling_flags
from nalu_export.io.text import printable, printable_lines

T = TypeVar("T")
DEBUG = "nalu_export.debug"
# Characters of an error about bad usage, which quotes the words of the command line.
LONGEST = 1000
# How similar to a command a word must be, from 0 to 1, to count as mistyped.
ALIKE = 0.6
EXIT_CODES = (
    ("0", "done; a check passed"),
    ("1", "parity failed, nothing could be compared, or the doctor found an error"),
    ("2", "bad usage, bad input, or beyond --timeout or --max-memory"),
    ("3", "the requested runtime is not available"),
    ("70", "an error of this program or of a library; --debug shows the traceback"),
    ("130", "interrupted by Ctrl-C"),
)
NO_VERDICT = (
    "After codes above 1 there is no verdict, and no file was written. A sweep has written what was done before."
)


def _warning(*args: Any, **kwargs: Any) -> str:
    return printable_lines(_format_warning(*args, **kwargs))


_format_warning = warnings.formatwarning


class Group(DefaultGroup):  # type: ignore[misc]
    """A group whose default command is ``export``; every error becomes one line and an exit code."""

    context_class = Context

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and insert ``export`` before the words if they do not begin with a command.

        Raises:
            InputError: the first word is neither a command nor a file, and similar to a command.
        """
        # Otherwise the group takes the h of `-ohead.onnx` for its own -h, and removes the -- before a file name.
        own = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        args, ctx.meta[DEBUG] = without_debug(args)
        if args and args[0] not in own and args[0] not in self.commands:
            if not ctx.resilient_parsing and not args[0].startswith("-"):
                self._refuse_mistyped(args[0])
            args = [self.default_cmd_name, *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def _refuse_mistyped(self, word: str) -> None:
        like = difflib.get_close_matches(word, self.commands, n=1, cutoff=ALIKE)
        if like and not os.path.lexists(word) and not {*word} & {".", os.sep}:
            raise InputError(f"no such command or file {word!r}; did you mean {like[0]}?")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands; if none fits, complete files, because the first word may be a model."""
        found: list[CompletionItem] = super().shell_complete(ctx, incomplete)
        return found or [CompletionItem(incomplete, type="file")]

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl(EXIT_CODES)
            formatter.write_text(NO_VERDICT)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line; warnings are printable, and errors name flags instead of arguments."""
        warnings.formatwarning = _warning
        with spelling_flags(flag):
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the command line. Click itself would exit with 1 after Ctrl-C or a closed pipe, but 1 is a verdict."""
        words = next(iter(args[1:]), kwargs.get("args")) or sys.argv[1:]
        made: click.Context = _ending(lambda: super(Group, self).make_context(*args, **kwargs), without_debug(words)[1])
        return made

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name that the encoding of the terminal lacks must not cause a traceback.
                stream.reconfigure(errors="backslashreplace")

        def run() -> object:
            try:
                result = super(Group, self).invoke(ctx)
                sys.stdout.flush()
            except click.UsageError as error:
                # The message quotes words of the command line unchanged; click adds line feeds to a list of choices.
                message = printable(error.format_message().replace("\n\t", " "))
                if len(message) > LONGEST:
                    message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
                raise click.UsageError(message, error.ctx) from error
            return result

        return _ending(run, ctx.meta[DEBUG])


def _ending(run: Callable[[], T], debug: bool) -> T:
    """Call ``run``; if it raises anything, print the error and exit with its exit code."""
    try:
        return guarded(run, debug=debug, was_interrupted=was_interrupted)
    except Ended as ended:
        raise click.exceptions.Exit(ended.code) from ended
