"""Finds effective weights, gates and ε in a graph. It reads only the graph, so it works for any module.

Here a *constant* is a node that depends on parameters alone, and *data* is a node that depends on the input.
"""

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
