"""Tables of all primitives, made from the files in ``records/``."""

from collections.abc import Callable
from typing import Any

from nalu_export.primitives.record import Primitive
from nalu_export.primitives.records import records

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive under its own name."""

BY_NAME: dict[str, Primitive] = {}
"""Every primitive under each of its names in torch."""

BY_FUNCTION: dict[Callable[..., Any], Primitive] = {}
"""Every primitive under the function that a captured graph calls."""


def enter(primitive: Primitive) -> None:
    """Add a primitive to every table."""
    PRIMITIVES[primitive.name] = primitive
    BY_NAME.update(dict.fromkeys(primitive.names, primitive))
    BY_FUNCTION[primitive.function] = primitive


for record in records():
    enter(record)
