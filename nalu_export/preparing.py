"""One prepared model for every command: read, copied, captured, and found to be a function of each sample alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.checkpoints import Checkpoint, ReadOptions
from nalu_export.errors import InputError, NaluExportError
from nalu_export.graph import ModelGraph, capture, refuse_mixing
from nalu_export.graph.copying import type_of
from nalu_export.graph.regions import Target, left_out
from nalu_export.inputs import sample_shape, shape_of_example
from nalu_export.source import prepare, source_of
from nalu_export.text import plain

# Samples in the batch that a model is captured with; 1 could be taken for an axis to repeat, 2 for a pair.
SAMPLES = 3


@dataclass(frozen=True)
class SourceOptions(ReadOptions):
    """How to read a source, see :class:`ReadOptions`, and what it is fed with.

    Attributes:
        input_size: (H, W) of the images that a model takes.
        example_inputs: a batch that the model takes, where its layers do not tell what that looks like.
        arithmetic: the modules that are to be its arithmetic subgraphs, by class or path; by default they are found.
    """

    input_size: Sequence[int] | None = None
    example_inputs: Any = None
    arithmetic: Sequence[Target] | None = None


@dataclass(frozen=True)
class Prepared:
    """A model, ready for every use.

    Attributes:
        graph: the model, captured; ``graph.module`` is the copy that stands for the user's module.
        checkpoint: what is known of its origin.
        notes: what had to be assumed or changed, one line each.
    """

    graph: ModelGraph
    checkpoint: Checkpoint
    notes: tuple[str, ...]


def prepared(source: nn.Module | str | os.PathLike[str], options: SourceOptions) -> Prepared:
    """Read a source, copy the model and capture it.

    Raises:
        InputError: it cannot be read, is no function of each sample alone, or holds no arithmetic; a refusal names the
            file that it is from.
        UnsupportedLayerError: it cannot be captured; the text names the user's line.
    """
    checkpoint = source_of(source, options)
    try:
        subject, notes = prepare(checkpoint.model)
        graph = captured(subject, options)
    except NaluExportError as error:
        if isinstance(source, nn.Module):
            raise
        raise type(error)(f"{os.fspath(source)}: {error}") from error
    return Prepared(graph, checkpoint, (*checkpoint.notes, *notes, *_notes(graph)))


def captured(model: nn.Module, options: SourceOptions) -> ModelGraph:
    """The graph of a prepared module.

    Raises:
        InputError: see :func:`prepared`.
        UnsupportedLayerError: see :func:`prepared`.
    """
    if options.example_inputs is not None and options.input_size is not None:
        raise InputError("input_size and example_inputs are both given; an example has the size of its images")
    if options.example_inputs is not None:
        shape = shape_of_example(options.example_inputs)
    else:
        shape = sample_shape(model, options.input_size)
    graph = capture(model, example_of(shape, model), options.arithmetic or ())
    refuse_mixing(graph)
    if not graph.subgraphs:
        raise InputError(
            f"{type(model).__name__} holds no arithmetic: there is no log, exp, power, product or quotient of data in "
            "its forward, and no matrix product with a weight that tanh, sigmoid or clamp computes; name the module "
            "that is meant with --arithmetic PATH, or use torch.onnx.export"
        )
    return graph


def example_of(shape: tuple[int, ...], model: nn.Module) -> Tensor:
    """A seeded batch of a model's type, uniform in 0.1..1."""
    x = torch.rand((SAMPLES, *shape), generator=torch.Generator().manual_seed(0)) * 0.9 + 0.1
    return x.to(type_of(model))


def _notes(graph: ModelGraph) -> tuple[str, ...]:
    """What a user should know about how the model was captured."""
    notes: list[str] = []
    if graph.example.ndim not in (2, 4):
        sizes = "×".join(map(str, graph.example.shape[1:])) or "no axis but the samples"
        notes.append(f"the batch is free; the other axes are fixed at {sizes}")
    return (*notes, *unnamed(graph))


def unnamed(graph: ModelGraph) -> tuple[str, ...]:
    """What to say of arithmetic that a user who named the subgraphs left out."""
    left = left_out(graph.flat.graph)
    names = ", ".join(plain(path) or "the model itself" for path in left)
    note = f"{names}: arithmetic that --arithmetic does not name; torch.onnx may change it, ε above all"
    return (note,) if left else ()
