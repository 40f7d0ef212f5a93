"""Captures as much of a model as can be captured: a diagnosis does not end where an export would."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from nalu_export.errors import NaluExportError, first_line
from nalu_export.graph import ModelGraph, capture
from nalu_export.graph.naming import join
from nalu_export.graph.reading import Reading, read
from nalu_export.io.text import plain
from nalu_export.source import prepare
from nalu_export.source.preparing import SourceOptions, example_of

# A model of which nothing can be captured is not looked through without end.
MAX_TRIED = 64


@dataclass(frozen=True)
class Part:
    """A module that was captured.

    Attributes:
        path: in the model, empty where it is all of it.
        graph: it, captured.
        readings: of its arithmetic subgraphs.
    """

    path: str
    graph: ModelGraph
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Captured:
    """What of a model was captured.

    Attributes:
        parts: the model, or those modules in it that can be captured alone.
        notes: what is missing, one line each.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def capture_what_can_be(model: nn.Module, options: SourceOptions) -> Captured:
    """The model, or the parts of it that can be captured where it cannot.

    Args:
        model: any; it stays as it is.
        options: what it is fed with and what of it is arithmetic.

    Raises:
        NaluExportError: modules are named as its arithmetic, and it cannot be captured so.
    """
    try:
        subject, _ = prepare(model, finite=False)
    except NaluExportError as error:
        return Captured((), (f"nothing but its tensors is examined: {error}",))
    try:
        return Captured((_captured("", subject, options),))
    except NaluExportError as error:
        if options.arithmetic:  # the names of what is meant are the user's
            raise
        why = first_line(error)
    parts = tuple(_children("", subject, [MAX_TRIED]))
    if not parts:
        return Captured((), (f"nothing but its tensors is examined: {why}",))
    names = ", ".join(plain(part.path) for part in parts)
    return Captured(parts, (f"only {names} {'is' if len(parts) == 1 else 'are'} examined in full: {why}",))


def _captured(path: str, model: nn.Module, options: SourceOptions) -> Part:
    """One module.

    Raises:
        NaluExportError: it cannot be captured.
    """
    try:
        example, _ = example_of(model, options)
        graph = capture(model, example, options.arithmetic or ())
        return Part(path, graph, tuple(read(graph)))
    except NaluExportError:
        raise
    except Exception as error:
        # Code of the user's runs here, and it may raise anything.
        raise NaluExportError(f"{type(model).__name__} cannot be run: {first_line(error)}") from error


def _children(path: str, module: nn.Module, left: list[int]) -> Iterator[Part]:
    """The largest parts that can be captured by themselves and hold arithmetic."""
    for name, child in module.named_children():
        left[0] -= 1
        if left[0] < 0:
            return
        if not any(True for _ in child.parameters()):
            continue
        where = join(path, name)
        try:
            part = _captured(where, child, SourceOptions())
        except NaluExportError:
            yield from _children(where, child, left)
            continue
        if part.readings:
            yield part
