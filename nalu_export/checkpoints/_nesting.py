"""How deep containers are nested; deep ones would end whoever walks them recursively."""

from collections.abc import Iterator
from typing import Any

from nalu_export.checkpoints._refusals import SAVE_INSTEAD
from nalu_export.errors import InputError

# torch.save itself fails at some 500, with Python's usual limit on recursion.
MAX_DEPTH = 500


def check_nesting(root: Any) -> None:
    """Refuse containers in containers in containers, and one that contains itself.

    Each is walked once, however often it is referred to.

    Raises:
        InputError: deeper than ``MAX_DEPTH``.
    """
    walk = _Walk()
    walk.enter([root])
    while walk.path:
        walk.step()


class _Walk:
    """Where the walk is: the containers from the root down, each with what is left of it."""

    def __init__(self) -> None:
        self.path: list[tuple[int, Iterator[Any]]] = []
        self.inside: list[int] = []  # for each on the path: how many containers are nested in it, as far as is known
        self.open: set[int] = set()
        self.heights: dict[int, int] = {}  # for each that is done: the same, and itself

    def enter(self, container: Any) -> None:
        values = container.values() if type(container) is dict else container
        self.path.append((id(container), iter(values)))
        self.inside.append(0)
        self.open.add(id(container))

    def step(self) -> None:
        """Go on to the next container in the last one of the path, or back."""
        key, left = self.path[-1]
        for child in left:
            # An empty one needs no walk; a million of them need no memory here.
            if type(child) not in (dict, list, tuple) or not child:
                continue
            height = self.heights.get(id(child))
            if id(child) in self.open or len(self.path) + (height or 1) > MAX_DEPTH + 1:
                raise InputError(f"nests its values deeper than {MAX_DEPTH}; {SAVE_INSTEAD}")
            if height is None:
                self.enter(child)
                return
            self.inside[-1] = max(self.inside[-1], height)
        self.path.pop()
        self.open.discard(key)
        self.heights[key] = 1 + self.inside.pop()
        if self.inside:
            self.inside[-1] = max(self.inside[-1], self.heights[key])
