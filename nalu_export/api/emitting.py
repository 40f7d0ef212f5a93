"""From a captured model to a draft of its file, with those axes free that the file is right for."""

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

# Samples of each other size on which a free size is proved.
PROOF_SAMPLES = 2


@dataclass(frozen=True)
class Emitted:
    """A model in a format.

    Attributes:
        graph: the model, in which only those axes are free that are free in the file.
        draft: the file without its metadata.
        sizes: those on which the file holds, the captured one first.
        notes: what the user should know of axes, one line each.
    """

    graph: ModelGraph
    draft: Draft
    sizes: list[Sizes]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Emitter:
    """How a model is put into a format.

    Attributes:
        kind: the format.
        options: what all formats have.
        own: what this one has.
        seed: of the inputs on which a free size is proved.
    """

    kind: Format[Any]
    options: EmitOptions
    own: FormatOptions
    seed: int

    def emit(self, graph: ModelGraph) -> Emitted:
        """Emit a model, and fix the axes for which the file would be wrong.

        Raises:
            InputError: the format cannot hold the model.
            UnsupportedLayerError: an arithmetic subgraph uses an operation that is not a primitive.
        """
        notes: list[str] = []
        draft = self._draft(graph)
        emitted = {size for spec in draft.inputs for size in spec.shape if isinstance(size, str)}
        stuck = [name for name in graph.interface.free if name not in emitted]
        if stuck and not _are_of_images(stuck):
            notes.append(_fixed(graph, stuck, self.kind.fixed or "what surrounds the arithmetic depends on it"))
        graph = graph.with_fixed(stuck)
        # Once: what the model takes does not depend on which axes a file leaves free.
        step = steps(graph, graph.interface.free)
        while free := graph.interface.free:
            sizes = sweep(graph, {name: step[name] for name in free})
            stuck, why = self._why_fixed(graph, draft, sizes, step)
            if not stuck:
                said = constraint(graph, {name: step[name] for name in free})
                what = "images" if _are_of_images(free) else "inputs"
                more = f"the model does not run on {what} of every size, and the file neither: {said}"
                return Emitted(graph, draft, sizes, (*notes, *([more] if said else [])))
            notes.append(_fixed(graph, stuck, why))
            graph = graph.with_fixed(stuck)
            draft = self._draft(graph)
        return Emitted(graph, draft, [graph.sizes], tuple(notes))

    def _draft(self, graph: ModelGraph) -> Draft:
        return self.kind.emit(graph, self.options, self.own)

    def _why_fixed(
        self, graph: ModelGraph, draft: Draft, sizes: list[Sizes], step: Mapping[str, int]
    ) -> tuple[list[str], str]:
        """The axes that cannot stay free, and why: what differs at a size other than the captured one.

        Exporters do not notice: an adaptive pooling to k > 1 exports with free axes and is wrong at every other size.
        """
        names = list(graph.interface.free)
        if len(sizes) == 1:
            return names, NO_OTHER_SIZE
        data = draft.to_bytes({})
        why = self._size_problem(graph, data, sizes[1:])
        if why is None:
            return [], ""
        if _are_of_images(names):
            return names, why  # an image of one fixed and one free side is nobody's wish
        alone = {name: sweep(graph, {name: step[name]})[1:] for name in names}
        found = {
            name: problem
            for name, others in alone.items()
            if (problem := self._size_problem(graph, data, others) if others else why)
        }
        return (list(found), next(iter(found.values()))) if found else (names, why)

    def _size_problem(self, graph: ModelGraph, data: bytes, sizes: Sequence[Sizes]) -> str | None:
        """What differs at other sizes, ``None`` if nothing."""
        rng, ports = torch.Generator().manual_seed(self.seed), graph.interface.inputs
        inputs = {_size_name(graph, one): drawn(ports, one, PROOF_SAMPLES, between(0.1, 1.0), rng) for one in sizes}
        options = CheckOptions(inputs=inputs, only_inputs=True)
        try:
            # An exporter's mistakes about sizes are gross; the check of the file has every input distribution.
            report = check_bytes(CheckRequest(graph, data, sizes, self.options.compute, [self.kind.runtime], options))
            # Where the bound determines no digit the sizes fit all the same: the file took them and gave the right
            # shapes.
            return f"with another, {report.summary()}" if any(row.failed for row in report.decisive) else None
        except RuntimeUnavailableError as error:
            return f"other sizes could not be tried: {error}"
        except UnsupportedLayerError:
            return "what was captured of the model holds for that size alone"


def _are_of_images(axes: Iterable[str]) -> bool:
    """Whether they are height and width, which nobody has to name."""
    return set(axes) == set(IMAGE_AXES.values())


def _fixed(graph: ModelGraph, axes: Sequence[str], why: str) -> str:
    """What to say of axes that cannot stay free."""
    base = base_of(graph)
    if _are_of_images(axes):
        return f"the image size is fixed at {'×'.join(str(base[axis]) for axis in axes)}: {why}"
    return f"{', '.join(f'{axis} is fixed at {base[axis]}' for axis in axes)}: {why}"


def _size_name(graph: ModelGraph, sizes: Sizes) -> str:
    """``8×24`` for images, ``time 17`` for other axes."""
    axes = read_axes(graph, sizes)
    if _are_of_images(axes):
        return "×".join(map(str, axes.values()))
    return ", ".join(f"{name} {size}" for name, size in axes.items())
