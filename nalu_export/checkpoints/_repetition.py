"""Refuses JSON objects with a repeated name, of which Python would keep the last."""

from collections.abc import Callable
from typing import Any

from nalu_export.errors import InputError
from nalu_export.io.text import short

Pairs = list[tuple[str, Any]]


def without_repetition(refuse: Callable[[str], InputError], what: str) -> Callable[[Pairs], dict[str, Any]]:
    """Return an ``object_pairs_hook`` that refuses a repeated name.

    Args:
        refuse: makes the error from its text.
        what: start of the text: ``"{what} has 'a' twice"``.
    """

    def hook(pairs: Pairs) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise refuse(f"{what} has {short(name)} twice")
            found[name] = value
        return found

    return hook
