"""A module as the package reads it: copied and captured, as its commands do."""

from torch import nn

from nalu_export.graph import ModelGraph
from nalu_export.preparing import SourceOptions, captured, example_of
from nalu_export.source import prepare


def graph_of(model: nn.Module, input_size: tuple[int, int] | None = None) -> ModelGraph:
    """A copy of a model, captured.

    Args:
        model: any; it is not changed.
        input_size: (H, W) of the images that it takes, where its layers do not tell.
    """
    subject, options = prepare(model)[0], SourceOptions(input_size=input_size)
    return captured(subject, example_of(subject, options)[0], options)
