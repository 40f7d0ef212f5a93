"""From a model to a checked file: emit, prove the free image size, check, and only then let the file appear."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nalu_export import formats
from nalu_export._version import __version__
from nalu_export.api.artifact import Artifact, encode_metadata
from nalu_export.api.chosen import chosen_runtimes
from nalu_export.api.facts import with_facts
from nalu_export.api.verify import verify as verify_file
from nalu_export.checkpoints import Checkpoint
from nalu_export.checkpoints.shards import name_of
from nalu_export.doctor.statistics import layer_table
from nalu_export.errors import InputError, ParityError, RuntimeUnavailableError, UnsupportedLayerError, option
from nalu_export.formats.base import Draft, EmitOptions, Format
from nalu_export.graph import ModelGraph, around
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.graph.interface import Sizes
from nalu_export.inputs.example import IMAGE_AXES
from nalu_export.inputs.sizes import NO_OTHER_SIZE, base_of, constraint, read_axes, sweep
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.io.text import plain
from nalu_export.nn.init import choose
from nalu_export.parity import CheckOptions, Report, check_bytes
from nalu_export.parity.check import Progress
from nalu_export.parity.inputs import between, drawn
from nalu_export.source.preparing import SourceOptions, prepared, unnamed

# Samples of each other size on which a free size is proved.
PROOF_SAMPLES = 2


@dataclass(frozen=True)
class ExportOptions(SourceOptions):
    """How to read the source, see :class:`SourceOptions`, and how to export it.

    Attributes:
        weights: ``"folded"`` holds effective weights only; ``"live"`` keeps the raw parameters under their names.
        compute: type of the arithmetic part.
        opset: ONNX opset, 17 to 24, honoured exactly.
        check: whether to check before the file appears.
        seed: of the check's inputs.
        samples: of each input distribution of the check; by default 128, fewer for wide layers, for images 24.
        runtimes: that check the file and have to pass: names, or ``"all"`` for those that are installed and run this
            format; by default the one that checks it.
        part: path of the arithmetic part that a C++ header is to hold, of a model with several.
        namespace: of a C++ header, ``"nalu"`` where it is not given.
        struct: its name, ``"Model"`` where it is not given.
        extern_c: whether a C++ header has functions for C as well.
    """

    weights: Weights = "folded"
    compute: Compute = "float32"
    opset: int = 20
    check: bool = True
    seed: int = 0
    samples: int | None = None
    runtimes: Sequence[str] | str | None = None
    part: str | None = None
    namespace: str | None = None
    struct: str | None = None
    extern_c: bool = False

    def __post_init__(self) -> None:
        choose("weights", self.weights, WEIGHTS)
        choose("compute", self.compute, COMPUTE)

    def of_format(self, kind: Format) -> dict[str, Any]:
        """The options that mean something to one format, where they were given.

        Raises:
            InputError: one of another format was given.
        """
        given = {"namespace": self.namespace, "struct": self.struct, "extern_c": self.extern_c or None}
        found = {name: value for name, value in given.items() if value is not None}
        for name in (*found, *(["part"] if self.part is not None else [])):
            if name not in kind.options:
                raise InputError(f"{name} is given, which means nothing to format {kind.name}; leave it out")
        return found


def export(
    source: nn.Module | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    /,
    *,
    format: str = "onnx",  # noqa: A002  the name that the command line uses
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Export a model and check the result; the file appears at ``path`` only when it is complete and passed.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        path: where to; by default beside the source (``model.pt`` → ``model.onnx``). An existing file is replaced.
        format: ``"onnx"``, ``"torchscript"`` or ``"cpp"``. A C++ header holds the arithmetic part of a model alone; the
            notes say what feeds it.
        progress: called with a text, the steps done and their number, 0 where it is not known.
        **options: the attributes of :class:`ExportOptions`: ``weights``, ``compute``, ``opset``, ``check``, ``seed``,
            ``samples``, ``runtimes``; what the model takes: ``input_size``, ``example_inputs``, ``dynamic_shapes``,
            ``input_names``, ``output_names``; for a header ``part``, ``namespace``, ``struct``, ``extern_c``; and to
            read a file as :func:`nalu_export.load` does: ``model``, ``layout``, ``eps``, ``prefix``, ``backbone``,
            ``task``, ``trust``, ``strict``.

    Returns:
        The artifact, with the parity report in ``report`` unless ``check=False``.

    Raises:
        InputError: the source, an option or the target cannot be used.
        UnsupportedLayerError: a layer computes something that has no primitive.
        ParityError: the exported file does not compute what the model computes; no file was written.
        RuntimeUnavailableError: what checks this format is not installed; ``check=False`` exports without it.
    """
    try:
        settings = ExportOptions(**options)
    except TypeError as error:
        raise InputError(f"export takes no such option: {error}") from error
    tell = progress or (lambda *_: None)
    kind = formats.get(format)
    target = target_of(source, path, kind)
    place = check_target(target, None if isinstance(source, nn.Module) else Path(source))
    chosen, every = chosen_runtimes(settings.runtimes, kind.name, target) if settings.check else ([], False)
    tell("reading", 0, 0)
    ready = prepared(source, settings)
    graph = ready.graph
    tell("exporting", 0, 0)
    path_of_part = kind.scope(graph, settings.part)
    part, part_notes = _part(graph, path_of_part)
    if graph.dtype == torch.float64 and settings.compute == "float32":
        kept = f"{option('compute', 'float64')} keeps those of the arithmetic"
        part_notes += (f"weights in float64 are rounded to float32; {kept}",)
    graph = graph.isolated(path_of_part)
    graph, draft, sizes, notes = _emit(graph, kind, settings)
    metadata = _metadata(graph, ready.checkpoint, draft, settings, kind) | part
    assumed = ready.checkpoint.assumptions
    data = draft.to_bytes(encode_metadata(metadata))

    report: Report | None = None

    def verify(written: bytes) -> None:
        nonlocal report
        report = verify_file(
            graph,
            written,
            kind.name,
            sizes,
            settings.compute,
            list(dict.fromkeys(["torch", *chosen])),
            CheckOptions(seed=settings.seed, samples=settings.samples),
            decisive=chosen,
            skip_missing=every,
            progress=tell,
        )
        about = {"artifact": target, "format": kind.name, "weights": settings.weights, "compute": settings.compute}
        report = with_facts(report, source, ready.checkpoint, graph, about, written)
        if not report.passed:
            why = "".join(f"; {note}" for note in unnamed(ready.graph))
            raise ParityError(f"{target}: not written, the check failed: {report.summary()}{why}", report)

    write_atomically(place, data, verify if settings.check else None)
    said = (*ready.notes, *part_notes, *draft.notes, *notes)
    return Artifact(target, kind.name, data, metadata, report, said, assumed)


def target_of(source: nn.Module | str | os.PathLike[str], path: str | os.PathLike[str] | None, kind: Format) -> Path:
    """Where to write: as told, or ``model.pt`` → ``model.onnx`` beside the source, also where that is in parts."""
    origin = None if isinstance(source, nn.Module) else Path(source)
    if path is not None:
        target = path if isinstance(path, Path) else Path(path)
    elif origin is not None and origin.name:
        target = origin.with_name(name_of(origin.name) + kind.suffix)
    elif origin is not None:
        raise InputError(f"{source}: is a directory without a name; say where to write with {option('path', 'FILE')}")
    else:
        raise InputError("path is missing; a module in memory has no folder to export beside")
    return target


def _part(graph: ModelGraph, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a file that holds one subgraph of a model says of the rest of it: as metadata and to the user."""
    if not name:
        return {}, ()
    found = around(graph, name)
    features = sum(math.prod(spec.shape[1:]) for spec in graph.subgraphs[name].inputs)
    fed = ", ".join(map(plain, found.before)) or "its input"
    notes = [f"the file holds {plain(name)} alone: feed it the {features} numbers that the model gets from {fed}"]
    if found.after:
        notes.append(f"what the model does to its output is left to you: {', '.join(map(plain, found.after))}")
    return {"part": {"path": name, "fed_by": list(found.before), "followed_by": list(found.after)}}, tuple(notes)


def _emit(
    graph: ModelGraph, kind: Format, settings: ExportOptions
) -> tuple[ModelGraph, Draft, list[Sizes], tuple[str, ...]]:
    """The model with the axes that turn out to be free, its draft, the sizes on which it holds, and notes on them."""
    options = EmitOptions(settings.weights, settings.compute, settings.opset, **settings.of_format(kind))
    notes: list[str] = []
    draft = kind.emit(graph, options)
    emitted = {size for spec in draft.inputs for size in spec.shape if isinstance(size, str)}
    stuck = [name for name in graph.interface.free if name not in emitted]
    if stuck and not _are_of_images(stuck):
        notes.append(_fixed(graph, stuck, kind.fixed or "what surrounds the arithmetic depends on it"))
    graph = graph.with_fixed(stuck)
    while free := graph.interface.free:
        sizes = sweep(graph)
        stuck, why = _stuck(graph, draft, sizes, kind, settings)
        if not stuck:
            said = constraint(graph, free)
            what = "images" if _are_of_images(free) else "inputs"
            more = f"the model does not run on {what} of every size, and the file neither: {said}"
            return graph, draft, sizes, (*notes, *([more] if said else []))
        notes.append(_fixed(graph, stuck, why))
        graph = graph.with_fixed(stuck)
        draft = kind.emit(graph, options)
    return graph, draft, [graph.sizes], tuple(notes)


def _are_of_images(axes: Iterable[str]) -> bool:
    """Whether they are height and width, which nobody has to name."""
    return set(axes) == set(IMAGE_AXES.values())


def _fixed(graph: ModelGraph, axes: Sequence[str], why: str) -> str:
    """What to say of axes that cannot stay free."""
    base = base_of(graph)
    if _are_of_images(axes):
        return f"the image size is fixed at {'×'.join(str(base[axis]) for axis in axes)}: {why}"
    return f"{', '.join(f'{axis} is fixed at {base[axis]}' for axis in axes)}: {why}"


def _stuck(
    graph: ModelGraph, draft: Draft, sizes: list[Sizes], kind: Format, settings: ExportOptions
) -> tuple[list[str], str]:
    """The axes that cannot stay free, and why: what differs at a size other than the captured one.

    Exporters do not notice: an adaptive pooling to k > 1 exports with free axes and is wrong at every other size.
    """
    names = list(graph.interface.free)
    if len(sizes) == 1:
        return names, NO_OTHER_SIZE
    data = draft.to_bytes({})
    why = _size_problem(graph, data, sizes[1:], kind, settings)
    if why is None:
        return [], ""
    if _are_of_images(names):
        return names, why  # an image of one fixed and one free side is nobody's wish
    alone = {name: sweep(graph, [name])[1:] for name in names}
    found = {
        name: problem
        for name, others in alone.items()
        if (problem := _size_problem(graph, data, others, kind, settings) if others else why)
    }
    return (list(found), next(iter(found.values()))) if found else (names, why)


def _size_problem(
    graph: ModelGraph, data: bytes, sizes: Sequence[Sizes], kind: Format, settings: ExportOptions
) -> str | None:
    """What differs at other sizes, ``None`` if nothing."""
    rng, ports = torch.Generator().manual_seed(settings.seed), graph.interface.inputs
    inputs = {_size_name(graph, one): drawn(ports, one, PROOF_SAMPLES, between(0.1, 1.0), rng) for one in sizes}
    try:
        # An exporter's mistakes about sizes are gross; the check of the file has every input distribution.
        report = check_bytes(
            graph, data, sizes, settings.compute, [kind.runtime], CheckOptions(inputs=inputs, only_inputs=True)
        )
        # Where the bound determines no digit the sizes fit all the same: the file took them and gave the right shapes.
        return f"with another, {report.summary()}" if any(row.failed for row in report.decisive) else None
    except RuntimeUnavailableError as error:
        return f"other sizes could not be tried: {error}"
    except UnsupportedLayerError:
        return "what was captured of the model holds for that size alone"


def _size_name(graph: ModelGraph, sizes: Sizes) -> str:
    """``8×24`` for images, ``time 17`` for other axes."""
    axes = read_axes(graph, sizes)
    if _are_of_images(axes):
        return "×".join(map(str, axes.values()))
    return ", ".join(f"{name} {size}" for name, size in axes.items())


def _metadata(
    graph: ModelGraph, checkpoint: Checkpoint, draft: Draft, settings: ExportOptions, kind: Format
) -> dict[str, Any]:
    """What the file says of itself. No time, no path, no measured figure: the same source gives the same bytes."""
    parity: dict[str, Any] = {"verdict": "unchecked"}
    if settings.check:
        # The bytes that are checked are the bytes that appear, so this is written before it is known to be true; the
        # file gets its name only if it is.
        asked = [settings.runtimes] if isinstance(settings.runtimes, str) else settings.runtimes or [kind.runtime]
        parity = {"verdict": "passed", "runtime": ", ".join(asked), "seed": settings.seed}
    return {
        "tool": f"nalu_export {__version__}",
        "torch": torch.__version__,
        "source_sha256": checkpoint.sha256,
        **({} if checkpoint.layout is None else {"source_layout": checkpoint.layout}),
        **({"assumptions": [asdict(each) for each in checkpoint.assumptions]} if checkpoint.assumptions else {}),
        "weights": settings.weights,
        "compute": settings.compute,
        "layers": layer_table(graph),
        "inputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.inputs],
        "outputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.outputs],
        "parity": parity,
    }
