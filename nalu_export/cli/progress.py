"""What a person sees while they wait: the stage and a bar, on stderr; nothing where there is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nalu_export.io.text import printable


@contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function that shows a text and how much is done until it is called again; the line is gone at the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    # The text last: its length changes with every step. It holds names from files.
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=24), TimeElapsedColumn(), text)
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None)

        def show(text: str, done: int, total: int) -> None:
            bars.update(task, description=printable(text), completed=done, total=total or None)

        yield show
