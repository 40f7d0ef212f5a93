"""What a person sees while they wait: the stage that runs, on stderr, and nothing where there is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stages(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A function that shows a short text until the next one; the line is gone at the end."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(text)
