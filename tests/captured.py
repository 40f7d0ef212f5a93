"""Models as graphs."""

import torch
from torch import fx, nn

from nalu_export.graph import Example, ModelGraph, capture
from nalu_export.graph.folding import Compute, Weights, inference_form
from nalu_export.inputs.example import example_of_given, seeded
from nalu_export.inputs.expected import sample_shape

# A call with one tensor, for what looks at none of its numbers.
CALL = Example.of(torch.ones(3, 1))


def example_for(model: nn.Module, shape: tuple[int, ...] | None = None) -> Example:
    """A call of a model of one input; its layers tell the shape of a sample where it is not given."""
    return example_of_given(model, seeded(sample_shape(model, None) if shape is None else shape, model))


def graph_of(model: nn.Module, shape: tuple[int, ...] | None = None) -> ModelGraph:
    """A model of one input, captured as it is."""
    return capture(model, example_for(model, shape))


def primitives_of(layer: nn.Module, shape: tuple[int, ...] | None = None) -> fx.GraphModule:
    """The graph of primitives of a model that is one arithmetic subgraph, as it is written."""
    whole = graph_of(layer, shape).whole
    assert whole is not None, f"{type(layer).__name__} is more than one arithmetic subgraph"
    return whole.module


def form_of(
    layer: nn.Module, weights: Weights = "folded", compute: Compute = "float32", shape: tuple[int, ...] | None = None
) -> fx.GraphModule:
    """The same as a file holds it."""
    return inference_form(primitives_of(layer, shape), weights, compute)
