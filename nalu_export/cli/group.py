"""The group of all verbs: ``export`` needs none, a mistyped one gets a suggestion, every end is one line."""

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
from nalu_export.cli.spelling import flag
from nalu_export.cli.supervisor import was_interrupted
from nalu_export.errors import InputError, spelling_flags
from nalu_export.io.text import printable, printable_lines

T = TypeVar("T")
DEBUG = "nalu_export.debug"
# Of what is said of bad usage, which quotes the words of the command line.
LONGEST = 1000
# How much of a word has to be right for it to be a verb that was mistyped.
ALIKE = 0.6


def _warning(*args: Any, **kwargs: Any) -> str:
    return printable_lines(_format_warning(*args, **kwargs))


_format_warning = warnings.formatwarning


class Group(DefaultGroup):  # type: ignore[misc]
    """``export`` needs no verb; whatever is raised is one line and an exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click has it, with ``export`` before the words where no verb stands.

        Raises:
            InputError: the first word is neither a verb nor a file, and like a verb.
        """
        # Left to itself, the group takes the h of `-ohead.onnx` for its own -h, and the -- before a file name away.
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
        """Verbs; files where no verb begins so, because the first word may be a model."""
        found: list[CompletionItem] = super().shell_complete(ctx, incomplete)
        return found or [CompletionItem(incomplete, type="file")]

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """What Python prints by itself is printable too; also what is raised while words are read is one line."""
        warnings.formatwarning = _warning
        with spelling_flags(flag):
            return super().main(*args, **kwargs)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the words; click would end a Ctrl-C and a closed pipe with 1, which is a verdict."""
        words = next(iter(args[1:]), kwargs.get("args")) or sys.argv[1:]
        made: click.Context = _ending(lambda: super(Group, self).make_context(*args, **kwargs), without_debug(words)[1])
        return made

    def invoke(self, ctx: click.Context) -> object:
        """Run the verb."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name that the terminal's encoding does not have must not end in a traceback.
                stream.reconfigure(errors="backslashreplace")

        def run() -> object:
            try:
                result = super(Group, self).invoke(ctx)
                sys.stdout.flush()
            except click.UsageError as error:
                # Words of the command line stand in it as they are; a list of choices has line feeds of click's own.
                message = printable(error.format_message().replace("\n\t", " "))
                if len(message) > LONGEST:
                    message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
                raise click.UsageError(message, error.ctx) from error
            return result

        return _ending(run, ctx.meta[DEBUG])


def _ending(run: Callable[[], T], debug: bool) -> T:
    """Call it; whatever it raises is said, and ends the command with the exit code of that."""
    try:
        return guarded(run, debug=debug, was_interrupted=was_interrupted)
    except Ended as ended:
        raise click.exceptions.Exit(ended.code) from ended
