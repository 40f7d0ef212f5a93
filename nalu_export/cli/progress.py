"""Shows progress on standard error: a bar and the current step. Without a terminal it shows nothing."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from nalu_export.io.text import printable

if TYPE_CHECKING:  # it imports torch
    from nalu_export.sweeps.result import Tally


@contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Yield a function that shows a step, how much of it is done, and how much there is; the line is erased at the end.

    Args:
        quiet: show nothing.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # The text is last, because its length changes with every step. It contains names from files, so markup is off.
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), text)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show(text: str, done: int, total: int) -> None:
            bars.update(task, description=printable(text), completed=done, total=total or None)

        yield show


@contextmanager
def counted(*, quiet: bool) -> Iterator[Callable[["Tally"], None]]:
    """Give a function that shows how far a sweep is: files done, rate, files that did not pass, time that is left.

    Notes for the user are printed in any case, each on a line of its own on stderr.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda tally: click.echo(f"nalu-export: {printable(tally.note)}", err=True) if tally.note else None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    first: list[tuple[float, int]] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show(tally: "Tally") -> None:
            if tally.note:
                bars.console.print(f"nalu-export: {printable(tally.note)}", markup=False, highlight=False)
            now, new = time.monotonic(), tally.done - tally.reused
            if new and not first:
                first.append((now, new))  # until then the workers import torch, which says nothing about the rate
            since, before = first[0] if first else (now, new)
            text = pace(tally, new - before, now - since)
            bars.update(task, description=text, completed=tally.done, total=tally.total)

        yield show


def pace(tally: "Tally", new: int, seconds: float) -> str:
    """Return ``12.3/s, 2 not passed, 0:41 left``: how fast a sweep is, and what it found.

    Args:
        tally: how far it is.
        new: checkpoints that were done in the last ``seconds``.
        seconds: how long that took.
    """
    parts = [f"{new / seconds:.3g}/s"] if new and seconds > 0 else []
    parts.append(f"{tally.not_passed} not passed")
    if tally.reused:
        parts.append(f"{tally.reused} done before")
    if new and tally.done < tally.total:
        left = round(seconds / new * (tally.total - tally.done))
        parts.append(f"{left // 60}:{left % 60:02d} left")
    return ", ".join(parts)
