"""Commands whose help has headings, defaults and examples, and fits 60 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click

T = TypeVar("T")
# The order of the headings. Options without a heading come first, under "Options".
HEADINGS = ("Workers", "Format", "Reading the checkpoint", "Model inputs", "Check", "CUDA", "Output", "Limits")
# A narrower terminal has no room for two columns.
TWO_COLUMNS = 72
# Width of the column with the options.
COLUMN = 26
# A larger limit of a number is not shown.
LARGEST = 10**6
# Stands for a hyphen while a text is wrapped, because textwrap breaks lines after hyphens.
_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class Formatter(click.HelpFormatter):
    """A formatter that never breaks a line after a hyphen, so that flags and names of runtimes stay whole."""

    def write_text(self, text: str) -> None:
        """See :meth:`click.HelpFormatter.write_text`."""
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """See :meth:`click.HelpFormatter.write_dl`."""
        super().write_dl([(first, second.replace("-", _HYPHEN)) for first, second in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        """See :meth:`click.HelpFormatter.getvalue`."""
        return super().getvalue().replace(_HYPHEN, "-")


class Context(click.Context):
    """A context whose help uses :class:`Formatter`."""

    formatter_class = Formatter


class Option(click.Option):
    """An option under a heading.

    Args:
        *args: as :class:`click.Option` takes them.
        heading: one of ``HEADINGS``, or empty.
        default_text: the default in words, if it is not a value.
        **kwargs: as :class:`click.Option` takes them.
    """

    def __init__(self, *args: Any, heading: str = "", default_text: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading, self.default_text = heading, default_text
        if self.metavar is None and isinstance(self.type, (click.IntRange, click.FloatRange)):
            self.metavar = " ".join(["N"] * self.nargs)
        self.show_default = bool(not default_text and self.nargs != 0)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return the default and the limits, in words; see :meth:`click.Option.get_help_extra`."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if self.default_text:
            extra["default"] = self.default_text
        kind = self.type
        if isinstance(kind, click.IntRange) and kind.min is not None and kind.max is not None and kind.max <= LARGEST:
            extra["range"] = f"{kind.min} to {kind.max}"
        return extra


def option(*declarations: str, heading: str = "", default_text: str = "", **kwargs: Any) -> Callable[[Any], Any]:
    """Return ``click.option`` with a heading; see :class:`Option`."""
    return click.option(*declarations, cls=Option, heading=heading, default_text=default_text, **kwargs)


def with_options(command: T, *options: Callable[[T], T]) -> T:
    """Add options to a command, in the order in which its help shows them."""
    for each in reversed(options):
        command = each(command)
    return command


class Command(click.Command):
    """A command whose help has headings and examples.

    Args:
        *args: as :class:`click.Command` takes them.
        examples: pairs of a command line and a sentence that says what it does.
        **kwargs: as :class:`click.Command` takes them.
    """

    context_class = Context

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in ("", *HEADINGS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                own = "Output" if parameter is self.get_help_option(ctx) else ""
                rows[getattr(parameter, "heading", own)].append(record)
        column = COLUMN if formatter.width >= TWO_COLUMNS else 1
        for heading, records in rows.items():
            if records:
                # The column of the options has the same width under all headings.
                records[0] = (records[0][0].ljust(column), records[0][1])
                with formatter.section(heading or "Options"):
                    formatter.write_dl(records, col_max=column, col_spacing=2 if column > 1 else 5)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples; a command line is never wrapped, so that it can be copied."""
        if self.examples:
            with formatter.section("Examples"):
                for words, what in self.examples:
                    formatter.buffer.append(f"{'':{formatter.current_indent}}{words}\n")
                    with formatter.indentation():
                        formatter.write_text(what)
