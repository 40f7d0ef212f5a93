"""Shows progress on standard error: a bar and the current step. Without a terminal it shows nothing."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nalu_export.io.text import printable


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
