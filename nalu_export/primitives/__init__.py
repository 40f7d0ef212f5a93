"""The primitives: the operations that arithmetic is written with.

Each primitive is one record. Capture, the formats and the error analysis read that record.
"""

from nalu_export.primitives import (
    activations,
    arithmetic,
    casts,
    conditions,
    exponentials,
    powers,
    products,
    reductions,
    rounding,
    selection,
    shapes,
    trigonometric,
)
from nalu_export.primitives.casts import cast
from nalu_export.primitives.compositions import COMPOSITIONS, Composition
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.record import Primitive

__all__ = [
    "BY_NAME",
    "COMPOSITIONS",
    "PRIMITIVES",
    "Composition",
    "Conditioned",
    "Primitive",
    "activations",
    "cast",
]

_FILES = (
    products,
    arithmetic,
    exponentials,
    powers,
    trigonometric,
    rounding,
    selection,
    conditions,
    reductions,
    shapes,
    casts,
)

PRIMITIVES: dict[str, Primitive] = {primitive.name: primitive for file in _FILES for primitive in file.PRIMITIVES}
"""Every primitive under its own name."""

BY_NAME: dict[str, Primitive] = {name: primitive for primitive in PRIMITIVES.values() for name in primitive.names}
"""Every primitive under each of its names in torch."""
