"""Models as graphs."""

from torch import fx, nn

from nalu_export.graph import ModelGraph, capture
from nalu_export.inputs import sample_shape
from nalu_export.preparing import example_of
from nalu_export.weights import Compute, Weights, inference_form


def graph_of(model: nn.Module, shape: tuple[int, ...] | None = None) -> ModelGraph:
    """A model, captured as it is; its layers tell the shape of a sample where it is not given."""
    return capture(model, example_of(sample_shape(model, None) if shape is None else shape, model))


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
