"""The primitives: the operations that arithmetic is written with.

Each primitive is one record. Capture, the formats and the error analysis read that record.
"""

from nalu_export.primitives import activations
from nalu_export.primitives.compositions import COMPOSITIONS, Composition
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.record import Primitive
from nalu_export.primitives.tables import BY_FUNCTION, BY_NAME, PRIMITIVES

__all__ = [
    "BY_FUNCTION",
    "BY_NAME",
    "COMPOSITIONS",
    "PRIMITIVES",
    "Composition",
    "Conditioned",
    "Primitive",
    "activations",
]
