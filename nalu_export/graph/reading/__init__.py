"""Reads effective weights, gates and ε off a graph: nothing that a layer says of itself is asked."""

from nalu_export.graph.reading.computing import RecipeError, compute
from nalu_export.graph.reading.epsilons import Epsilon
from nalu_export.graph.reading.form import Form
from nalu_export.graph.reading.gates import Gate, Share
from nalu_export.graph.reading.layers import Layer, Reading, read, reading_of
from nalu_export.graph.reading.recipes import quoted, recipe
from nalu_export.graph.reading.weights import Weight

__all__ = [
    "Epsilon",
    "Form",
    "Gate",
    "Layer",
    "Reading",
    "RecipeError",
    "Share",
    "Weight",
    "compute",
    "quoted",
    "read",
    "reading_of",
    "recipe",
]
