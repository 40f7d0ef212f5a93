"""A module as the package reads it: copied and captured, as its commands do."""

from torch import nn

from nalu_export.formats._surroundings import replace_module, surroundings
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import inference_form
from nalu_export.graph.module import written
from nalu_export.source import prepare
from nalu_export.source.preparing import SourceOptions, captured, example_of


def graph_of(model: nn.Module, input_size: tuple[int, int] | None = None) -> ModelGraph:
    """A copy of a model, captured.

    Args:
        model: any; it is not changed.
        input_size: (H, W) of the images that it takes, where its layers do not tell.
    """
    subject, options = prepare(model)[0], SourceOptions(input_size=input_size)
    return captured(subject, example_of(subject, options)[0], options)


def folded_module(graph: ModelGraph) -> nn.Module:
    """The model with its effective weights computed, as a folded file holds it: what that is to be timed against."""
    forms = {
        name: written(inference_form(subgraph.module, "folded", "float32"))
        for name, subgraph in graph.subgraphs.items()
    }
    if graph.whole is not None:
        return forms[""]
    outer = surroundings(graph)
    for name, subgraph in graph.subgraphs.items():
        replace_module(outer, subgraph.place, forms[name])
    return outer
