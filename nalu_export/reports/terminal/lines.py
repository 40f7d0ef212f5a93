"""Prints lines in a terminal; :mod:`nalu_export.reports.terminal.report` prints the report of a check."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from nalu_export.io.text import printable
from nalu_export.process.output import discard_output

if TYPE_CHECKING:  # these import torch
    from nalu_export.io.assumption import Assumption

MIN_WIDTH = 100


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on to the verdict when the reader closes the pipe, as ``head`` does; rich itself would exit with 1."""
        self.quiet = True
        discard_output()


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not wrap a table at 80 columns if there is no terminal."""
    found = _Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=False)
    if not found.is_terminal:
        found = _Console(stderr=stderr, highlight=False, emoji=False, width=MIN_WIDTH, no_color=True)
    return found


def say(out: Console, *parts: str | tuple[str, str], style: str = "") -> None:
    """Print one line. A terminal wraps it at words; elsewhere it stays whole, so that it can be searched.

    Args:
        out: the console.
        *parts: texts, or (text, style); nothing in them is interpreted as markup or an escape sequence.
        style: the style of the whole line.
    """
    for line in lines_of(out, *parts, style=style):
        out.print(line, soft_wrap=True)


def lines_of(out: Console, *parts: str | tuple[str, str], style: str = "", most: int | None = None) -> list[Text]:
    """Return the text that :func:`say` prints, as the lines that it takes.

    Args:
        out: the console.
        *parts: see :func:`say`.
        style: the style of all lines.
        most: the largest number of lines; a longer text ends with an ellipsis.
    """
    shown = [printable(part) if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
    text = Text.assemble(*shown, style=style)
    if not out.is_terminal:
        return [text]
    # Further lines are indented.
    width = out.width if most == 1 else max(out.width - 2, 1)
    lines = list(text.wrap(out, width))
    if most is not None and len(lines) > most:
        lines = lines[:most]
        lines[-1].rstrip()
        lines[-1].truncate(width - 1)
        lines[-1].append("…")
    for line in lines:
        line.rstrip()
    return [Text("  ") + line if number else line for number, line in enumerate(lines)]


def say_all(out: Console, notes: Iterable[str], assumptions: Iterable[Assumption]) -> None:
    """Print notes and assumptions, a line each."""
    for note in notes:
        say(out, f"note: {note}")
    for each in assumptions:
        say(out, f"assumed: {each}")


def shape_text(shape: list[int | str]) -> str:
    """Return a shape as text: ``"(batch, 3)"``."""
    return "(" + ", ".join(str(size) for size in shape) + ")"
