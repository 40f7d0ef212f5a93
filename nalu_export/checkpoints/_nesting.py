"""Limits how deep containers are nested, because a recursive walk through deeper ones would fail."""

from collections.abc import Iterator
from typing import Any

from nalu_export.checkpoints._refusals import SAVE_INSTEAD
from nalu_export.errors import InputError

# torch.save itself fails at some 500 levels, with Python's default recursion limit.
MAX_DEPTH = 500


def check_nesting(root: Any) -> None:
    """Refuse containers that are nested too deep, and a container that contains itself.

    Each container is walked once, however often the data refer to it.

    Raises:
        InputError: containers are nested deeper than ``MAX_DEPTH``.
    """
    walk = _Walk()
    walk.enter([root])
    while walk.path:
        walk.step()


class _Walk:
    """State of the walk: the containers from the root down to the current one, each with the values that are left."""

    def __init__(self) -> None:
        self.path: list[tuple[int, Iterator[Any]]] = []
        self.inside: list[int] = []  # per container on the path: levels of containers in it, as far as walked
        self.open: set[int] = set()
        self.heights: dict[int, int] = {}  # per finished container: levels in it, plus itself

    def enter(self, container: Any) -> None:
        values = container.values() if type(container) is dict else container
        self.path.append((id(container), iter(values)))
        self.inside.append(0)
        self.open.add(id(container))

    def step(self) -> None:
        """Enter the next container in the last container of the path; if there is none, go back."""
        key, left = self.path[-1]
        for child in left:
            # An empty container needs no walk. A million of them then take no memory here.
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
