"""Captures as much of a model as possible: a diagnosis goes on where an export would stop."""

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

# How many submodules are tried at most, if the model as a whole cannot be captured.
MAX_TRIED = 64


@dataclass(frozen=True)
class Part:
    """A captured module.

    Attributes:
        path: its path in the model, empty if it is the whole model.
        graph: the captured module.
        readings: what was read off each of its arithmetic subgraphs.
    """

    path: str
    graph: ModelGraph
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Captured:
    """The captured parts of a model.

    Attributes:
        parts: the model, or those of its submodules that can be captured separately.
        notes: what is missing, one line each.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def capture_what_can_be(model: nn.Module, options: SourceOptions) -> Captured:
    """Capture the model, or its submodules if the model cannot be captured.

    Args:
        model: any module; it is not changed.
        options: its inputs, and which of its modules are arithmetic.

    Raises:
        NaluExportError: the user named the arithmetic modules, and the model cannot be captured with them.
    """
    try:
        subject, _ = prepare(model, finite=False)
    except NaluExportError as error:
        return Captured((), (f"only the tensors of the model are examined: {error}",))
    try:
        return Captured((_captured("", subject, options),))
    except NaluExportError as error:
        if options.arithmetic:  # the user's choice of modules fails; do not examine other ones instead
            raise
        why = first_line(error)
    parts = tuple(_children("", subject, [MAX_TRIED]))
    if not parts:
        return Captured((), (f"only the tensors of the model are examined: {why}",))
    names = ", ".join(plain(part.path) for part in parts)
    return Captured(parts, (f"only {names} {'is' if len(parts) == 1 else 'are'} examined in full: {why}",))


def _captured(path: str, model: nn.Module, options: SourceOptions) -> Part:
    """Capture one module.

    Raises:
        NaluExportError: it cannot be captured.
    """
    try:
        example, _ = example_of(model, options)
        graph = capture(model, example, options.arithmetic or ())
        return Part(path, graph, read(graph))
    except NaluExportError:
        raise
    except Exception as error:
        # The user's code runs here, and it may raise anything.
        raise NaluExportError(f"{type(model).__name__} cannot be run: {first_line(error)}") from error


def _children(path: str, module: nn.Module, left: list[int]) -> Iterator[Part]:
    """Yield the largest submodules that can be captured separately and hold arithmetic."""
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
