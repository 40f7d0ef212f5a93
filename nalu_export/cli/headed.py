"""Help in groups, with defaults and examples, from 60 columns on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

T = TypeVar("T")
# In this order; what has no heading stands first, under the name of the command.
HEADINGS = ("Workers", "Format", "Reading MODEL", "Model inputs", "Check", "CUDA", "Output", "Budget")
# A terminal narrower than that has no room for two columns.
TWO_COLUMNS = 72
# Of the column with the options.
COLUMN = 26
LARGEST = 10**6


class Option(click.Option):
    """An option under a heading, with a default in words where it is no value.

    Args:
        *args: as click has them.
        heading: one of ``HEADINGS``.
        default_text: what is taken where it is not given.
        **kwargs: as click has them.
    """

    def __init__(self, *args: Any, heading: str = "", default_text: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading, self.default_text = heading, default_text
        if self.metavar is None and isinstance(self.type, (click.IntRange, click.FloatRange)):
            self.metavar = " ".join(["N"] * self.nargs)
        self.show_default = bool(not default_text and self.nargs != 0)

    def get_help_extra(self, ctx: click.Context) -> Any:
        """As click has it, with limits in words."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        if self.default_text:
            extra["default"] = self.default_text
        kind = self.type
        if isinstance(kind, click.IntRange) and kind.min is not None and kind.max is not None and kind.max <= LARGEST:
            extra["range"] = f"{kind.min} to {kind.max}"
        return extra


def option(*declarations: str, heading: str = "", default_text: str = "", **kwargs: Any) -> Callable[[Any], Any]:
    """``click.option`` under a heading; see :class:`Option`."""
    return click.option(*declarations, cls=Option, heading=heading, default_text=default_text, **kwargs)


def with_options(command: T, *options: Callable[[T], T]) -> T:
    """Add options to a command, in the order in which its help shows them."""
    for each in reversed(options):
        command = each(command)
    return command


class Command(click.Command):
    """A command whose help has headings and examples.

    Args:
        *args: as click has them.
        examples: what a user types, and what comes of it.
        **kwargs: as click has them.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options of each heading."""
        rows: dict[str, list[tuple[str, str]]] = {name: [] for name in ("", *HEADINGS)}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                own = "Output" if parameter is self.get_help_option(ctx) else ""
                rows[getattr(parameter, "heading", own)].append(record)
        column = COLUMN if formatter.width >= TWO_COLUMNS else 1
        for heading, records in rows.items():
            if records:
                # All groups have one column for what is typed.
                records[0] = (records[0][0].ljust(column), records[0][1])
                with formatter.section(heading or (self.name or "options").capitalize()):
                    formatter.write_dl(records, col_max=column, col_spacing=2 if column > 1 else 5)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples: commands stand whole, whoever copies them."""
        if self.examples:
            with formatter.section("Examples"):
                for words, what in self.examples:
                    formatter.buffer.append(f"{'':{formatter.current_indent}}{words}\n")
                    with formatter.indentation():
                        formatter.write_text(what)
