"""The captured graph of a model: one node for each primitive. Every format and the error analysis read it."""

from nalu_export.graph.around import Around, around
from nalu_export.graph.capture import ModelGraph, capture
from nalu_export.graph.example import Example
from nalu_export.graph.formula import formulas
from nalu_export.graph.interface import Interface, Port
from nalu_export.graph.naming import formula_of, label_of, part_of
from nalu_export.graph.purity import refuse_mixing
from nalu_export.graph.rewrites import well_conditioned
from nalu_export.graph.spelling.canonical import primitive_of
from nalu_export.graph.subgraphs import Subgraph

__all__ = [
    "Around",
    "Example",
    "Interface",
    "ModelGraph",
    "Port",
    "Subgraph",
    "around",
    "capture",
    "formula_of",
    "formulas",
    "label_of",
    "part_of",
    "primitive_of",
    "refuse_mixing",
    "well_conditioned",
]
