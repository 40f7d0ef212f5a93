"""How deep containers are nested; deep ones would end whoever walks them recursively."""

from collections.abc import Iterable, Iterator
from typing import Any

from nalu_export.errors import InputError

# torch.save itself fails at some 500, with Python's usual limit on recursion.
MAX_DEPTH = 500


def check_nesting(root: Any) -> None:
    """Refuse containers in containers in containers, and one that contains itself.

    Each is walked once, however often it is referred to.

    Raises:
        InputError: deeper than ``MAX_DEPTH``.
    """
    heights: dict[int, int] = {}  # of containers that are done: how many are nested in each, itself included
    path: list[tuple[Any, Iterator[Any]]] = []
    tallest: list[int] = []  # of what is in each container on the path, so far
    on_path: set[int] = set()

    def enter(value: Any) -> None:
        path.append((value, iter(_inside(value))))
        tallest.append(0)
        on_path.add(id(value))

    enter([root])
    while path:
        value, remaining = path[-1]
        for child in remaining:
            if type(child) not in (dict, list, tuple) or not child:
                continue
            if id(child) in on_path or len(path) + heights.get(id(child), 1) > MAX_DEPTH + 1:
                raise InputError(f"nests its values deeper than {MAX_DEPTH}; save the state_dict alone")
            if id(child) in heights:
                tallest[-1] = max(tallest[-1], heights[id(child)])
            else:
                enter(child)
                break
        else:
            path.pop()
            on_path.discard(id(value))
            heights[id(value)] = 1 + tallest.pop()
            if tallest:
                tallest[-1] = max(tallest[-1], heights[id(value)])


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if type(value) is dict else value
