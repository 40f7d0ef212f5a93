"""Emits a captured model in a format, and fixes the axes at whose other sizes the file would be wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nalu_export.errors import RuntimeUnavailableError, UnsupportedLayerError
from nalu_export.formats import FormatOptions
from nalu_export.formats.base import Draft, EmitOptions, Format
from nalu_export.graph import ModelGraph
from nalu_export.graph.interface import Sizes
from nalu_export.inputs.example import IMAGE_AXES
from nalu_export.inputs.sizes import NO_OTHER_SIZE, base_of, constraint, read_axes, steps, sweep
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from nalu_export.parity.inputs import between, drawn

# Number of samples with which each other size is tried.
PROOF_SAMPLES = 2


@dataclass(frozen=True)
class Emitted:
    """A model that was emitted in a format.

    Attributes:
        graph: the model, with only those axes free that are free in the file.
        draft: the file without its metadata.
        sizes: input sizes to check the file on, the captured one first.
        notes: notes for the user about axes, one line each.
    """

    graph: ModelGraph
    draft: Draft
    sizes: list[Sizes]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Emitter:
    """Emits models in one format.

    Attributes:
        kind: the format.
        options: the options that all formats have.
        own: the options of this format.
        seed: seed of the inputs with which other sizes are tried.
    """

    kind: Format[Any]
    options: EmitOptions
    own: FormatOptions
    seed: int

    def emit(self, graph: ModelGraph) -> Emitted:
        """Emit a model, and fix its axes at whose other sizes the file would be wrong.

        Raises:
            InputError: the format cannot hold the model.
            UnsupportedLayerError: an arithmetic subgraph uses an operation that is not a primitive.
        """
        notes: list[str] = []
        draft = self._draft(graph)
        emitted = {size for spec in draft.inputs for size in spec.shape if isinstance(size, str)}
        stuck = [name for name in graph.interface.free if name not in emitted]
        if stuck and not _are_of_images(stuck):
            notes.append(_fixed(graph, stuck, self.kind.fixed or "the layers around the arithmetic depend on it"))
        graph = graph.with_fixed(stuck)
        # Found once: which sizes the model takes does not depend on which axes are free in the file.
        step = steps(graph, graph.interface.free)
        while free := graph.interface.free:
            left = {name: step[name] for name in free}
            sizes = sweep(graph, left)
            stuck, why = self._why_fixed(graph, draft, sizes, step)
            if not stuck:
                taken = constraint(graph, left)
                what = "images" if _are_of_images(free) else "inputs"
                if taken:
                    notes.append(f"neither the model nor the file runs on {what} of every size: {taken}")
                return Emitted(graph, draft, sizes, tuple(notes))
            notes.append(_fixed(graph, stuck, why))
            graph = graph.with_fixed(stuck)
            draft = self._draft(graph)
        return Emitted(graph, draft, [graph.sizes], tuple(notes))

    def _draft(self, graph: ModelGraph) -> Draft:
        return self.kind.emit(graph, self.options, self.own)

    def _why_fixed(
        self, graph: ModelGraph, draft: Draft, sizes: list[Sizes], step: Mapping[str, int]
    ) -> tuple[list[str], str]:
        """Return the axes that cannot stay free, and what is wrong at another size than the captured one.

        Exporters do not detect this. An adaptive pooling to k > 1, for example, is exported with free axes and is wrong
        at every other size.
        """
        names = list(graph.interface.free)
        if len(sizes) == 1:
            return names, NO_OTHER_SIZE
        data = draft.to_bytes({})
        why = self._size_problem(graph, data, sizes[1:])
        if why is None:
            return [], ""
        if _are_of_images(names):
            return names, why  # height and width are fixed together
        alone = {name: sweep(graph, {name: step[name]})[1:] for name in names}
        found = {
            name: problem
            for name, others in alone.items()
            if (problem := self._size_problem(graph, data, others) if others else why)
        }
        return (list(found), next(iter(found.values()))) if found else (names, why)

    def _size_problem(self, graph: ModelGraph, data: bytes, sizes: Sequence[Sizes]) -> str | None:
        """Return what is wrong at other sizes; ``None`` if nothing is."""
        rng, ports = torch.Generator().manual_seed(self.seed), graph.interface.inputs
        inputs = {_size_name(graph, one): drawn(ports, one, PROOF_SAMPLES, between(0.1, 1.0), rng) for one in sizes}
        options = CheckOptions(inputs=inputs, only_inputs=True)
        try:
            # A few samples are enough, because an exporter that gets a size wrong is far off. The check of the file
            # uses every input distribution later.
            report = check_bytes(CheckRequest(graph, data, sizes, self.options.compute, [self.kind.runtime], options))
            # A row that compared nothing is no failure: the file took the size and gave outputs of the right shape.
            return f"at another size, {report.summary()}" if any(row.failed for row in report.decisive) else None
        except RuntimeUnavailableError as error:
            return f"other sizes could not be tried: {error}"
        except UnsupportedLayerError:
            return "the captured graph of the model is right for that size only"


def _are_of_images(axes: Iterable[str]) -> bool:
    """Return whether the axes are height and width of images, which the user does not name."""
    return set(axes) == set(IMAGE_AXES.values())


def _fixed(graph: ModelGraph, axes: Sequence[str], why: str) -> str:
    """Return the note about axes that cannot stay free."""
    base = base_of(graph)
    if _are_of_images(axes):
        return f"the image size is fixed at {'×'.join(str(base[axis]) for axis in axes)}: {why}"
    return f"{', '.join(f'{axis} is fixed at {base[axis]}' for axis in axes)}: {why}"


def _size_name(graph: ModelGraph, sizes: Sizes) -> str:
    """Return the sizes of the free axes as a text: ``8×24`` for images, ``time 17`` for other axes."""
    axes = read_axes(graph, sizes)
    if _are_of_images(axes):
        return "×".join(map(str, axes.values()))
    return ", ".join(f"{name} {size}" for name, size in axes.items())
