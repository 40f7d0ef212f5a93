"""Prepares a model for every command: reads, copies and captures it, and makes sure it treats each sample alone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from nalu_export.checkpoints import Checkpoint, FileKeywords, ReadOptions
from nalu_export.checkpoints.factory import Factory
from nalu_export.errors import InputError, NaluExportError, option
from nalu_export.graph import Example, ModelGraph, capture, refuse_mixing
from nalu_export.graph.recall import recalled, remember
from nalu_export.graph.regions import Target, left_out
from nalu_export.inputs.example import DynamicShapes, example_of_given, seeded
from nalu_export.inputs.expected import sample_shape
from nalu_export.inputs.integer_ranges import with_ranges
from nalu_export.inputs.sizes import with_captured_axes
from nalu_export.inputs.specs import Described, DescribedInOrder
from nalu_export.io.text import plain
from nalu_export.source import prepare, source_of


@dataclass(frozen=True)
class SourceOptions(ReadOptions):
    """How to read a source, see :class:`ReadOptions`, and the inputs of its model.

    Attributes:
        input_size: (H, W) of the images that a model takes.
        example_inputs: a batch that the model takes, if its layers do not determine it: a tensor, a tuple of arguments
            or a dict by the names of ``forward``.
        dynamic_shapes: the free axes of inputs besides the batch axis: ``{"x": {1: "time"}}``; by default height and
            width of images.
        input_names: names of the inputs in files and reports; by default those of ``forward``, or ``input`` for one.
        output_names: the same for the outputs; by default keys, fields or indices of the result.
        arithmetic: the modules that become its arithmetic subgraphs, by class or path; by default they are found.
    """

    input_size: Sequence[int] | None = None
    example_inputs: Any = None
    dynamic_shapes: DynamicShapes | None = None
    input_names: Sequence[str] | None = None
    output_names: Sequence[str] | None = None
    arithmetic: Sequence[Target] | None = None


class SourceFileKeywords(FileKeywords, total=False):
    """:class:`SourceOptions` without ``model``, as keyword arguments."""

    input_size: Sequence[int] | None
    example_inputs: Any
    dynamic_shapes: DynamicShapes | None
    input_names: Sequence[str] | None
    output_names: Sequence[str] | None
    arithmetic: Sequence[Target] | None


class SourceKeywords(SourceFileKeywords, total=False):
    """:class:`SourceOptions` as keyword arguments."""

    model: Factory | None


@dataclass(frozen=True)
class Prepared:
    """A model, ready for every use.

    Attributes:
        graph: the captured model; ``graph.module`` is the copy that stands for the user's module.
        checkpoint: its origin.
        notes: assumptions and changes, one line each.
    """

    graph: ModelGraph
    checkpoint: Checkpoint
    notes: tuple[str, ...]


def prepared(source: nn.Module | str | os.PathLike[str], options: SourceOptions) -> Prepared:
    """Read a source, copy the model and capture it.

    Raises:
        InputError: it cannot be read, mixes samples, or holds no arithmetic; the text names the file if there is one.
        UnsupportedLayerError: it cannot be captured; the text names the user's line.
    """
    checkpoint = source_of(source, options)
    try:
        subject, notes = prepare(checkpoint.model)
        example, more = example_of(subject, options)
        graph, unrolled = with_captured_axes(captured(subject, example, options))
    except NaluExportError as error:
        if isinstance(source, nn.Module):
            raise
        raise type(error)(f"{os.fspath(source)}: {error}") from error
    return Prepared(graph, checkpoint, (*checkpoint.notes, *notes, *more, *unrolled, *_notes(graph)))


def example_of(model: nn.Module, options: SourceOptions) -> tuple[Example, tuple[str, ...]]:
    """Return the example call for the capture, as the user describes it, else from the layers, and notes about it.

    Raises:
        InputError: the description does not fit the model, or there is none and the layers do not determine it.
    """
    given = options.example_inputs
    if given is not None and options.input_size is not None:
        both = f"{option('input_size')} and {option('example_inputs', typed='--input or --example')}"
        raise InputError(f"{both} are both given; give one, because an example has the size of its images")
    if given is None:
        given = seeded(sample_shape(model, options.input_size), model)
    names = options.input_names, options.output_names
    example = example_of_given(model, given, options.dynamic_shapes, *names)
    return with_ranges(model, example, told=not isinstance(given, (Described, DescribedInOrder)))


def captured(model: nn.Module, example: Example, options: SourceOptions) -> ModelGraph:
    """Return the graph of a prepared module.

    Raises:
        InputError: see :func:`prepared`.
        UnsupportedLayerError: see :func:`prepared`.
    """
    graph = None if options.arithmetic else recalled(model, example)
    if graph is None:
        graph = capture(model, example, options.arithmetic or ())
        refuse_mixing(graph)
        if not options.arithmetic:
            remember(graph, example)
    if not graph.subgraphs:
        raise InputError(
            f"{type(model).__name__} holds no arithmetic: its forward computes no log, exp, power, product or quotient "
            "of values that depend on the input, and no matrix product with a weight that tanh, sigmoid or clamp "
            f"computes; name the arithmetic with {option('arithmetic', 'PATH')}, or use torch.onnx.export"
        )
    return graph


def _notes(graph: ModelGraph) -> tuple[str, ...]:
    """Return notes for the user about the capture."""
    ports = graph.interface.inputs
    fixed = {port.name: [size for size in port.shape[1:] if isinstance(size, int)] for port in ports if not port.free}
    # A single fixed axis is the number of features, which the user knows from the layer.
    said = {name: "×".join(map(str, sizes)) for name, sizes in fixed.items() if len(sizes) != 1}
    notes: list[str] = []
    if len(ports) == 1 and said:
        sizes = next(iter(said.values()))
        others = f"the other axes are fixed at {sizes}" if sizes else "there is no other axis"
        notes.append(f"the batch is free; {others}")
    elif any(said.values()):
        each = ", ".join(f"{plain(name)} {sizes}" for name, sizes in said.items() if sizes)
        notes.append(f"the batch is free; the other axes are fixed: {each}")
    return (*notes, *unnamed(graph))


def unnamed(graph: ModelGraph) -> tuple[str, ...]:
    """Return a note about arithmetic that is outside the subgraphs that the user named."""
    left = left_out(graph.flat.graph)
    names = ", ".join(plain(path) or "the model itself" for path in left)
    note = (
        f"{names}: {option('arithmetic')} does not name this arithmetic, so torch.onnx may change it, for example its ε"
    )
    return (note,) if left else ()
