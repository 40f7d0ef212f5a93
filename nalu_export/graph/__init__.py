"""The traced arithmetic graph: one node for each primitive, read by every format and by the error analysis."""

from nalu_export.graph.around import Around, around
from nalu_export.graph.formula import formulas
from nalu_export.graph.naming import formula_of, label_of, part_of
from nalu_export.graph.rewrites import well_conditioned
from nalu_export.graph.trace import primitive_of, trace, trace_model
from nalu_export.primitives import PRIMITIVES, Primitive

__all__ = [
    "PRIMITIVES",
    "Around",
    "Primitive",
    "around",
    "formula_of",
    "formulas",
    "label_of",
    "part_of",
    "primitive_of",
    "trace",
    "trace_model",
    "well_conditioned",
]
