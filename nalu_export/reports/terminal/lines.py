"""Lines in a terminal; reports of checks are in :mod:`nalu_export.reports.terminal.report`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from nalu_export.io.text import printable
from nalu_export.process.output import forget_output

if TYPE_CHECKING:  # these import torch
    from nalu_export.io.assumption import Assumption

MIN_WIDTH = 100


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has enough, as ``head`` has; the command goes on to its verdict. rich would exit with 1."""
        self.quiet = True
        forget_output()


def console(*, stderr: bool = False) -> Console:
    """A console that does not wrap a table to 80 columns where there is no terminal."""
    found = _Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=False)
    if not found.is_terminal:
        found = _Console(stderr=stderr, highlight=False, emoji=False, width=MIN_WIDTH, no_color=True)
    return found


def say(out: Console, *parts: str | tuple[str, str], style: str = "") -> None:
    """One line: in a terminal wrapped at words, elsewhere left whole for whoever searches it.

    Args:
        out: where to.
        *parts: texts, or (text, style); nothing in them is markup or an escape sequence.
        style: of all of it.
    """
    shown = [printable(part) if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
    text = Text.assemble(*shown, style=style)
    if not out.is_terminal:
        out.print(text, soft_wrap=True)
        return
    for number, line in enumerate(text.wrap(out, max(out.width - 2, 1))):
        line.rstrip()
        out.print(Text("  ") + line if number else line)


def say_all(out: Console, notes: Iterable[str], assumptions: Iterable[Assumption]) -> None:
    """Notes and assumptions, a line each."""
    for note in notes:
        say(out, f"note: {note}")
    for each in assumptions:
        say(out, f"assumed: {each}")


def shape_text(shape: list[int | str]) -> str:
    """``"(batch, 3)"``."""
    return "(" + ", ".join(str(size) for size in shape) + ")"
