"""From a model to a checked file: emit, check, and only then let the file appear."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from nalu_export import formats
from nalu_export._version import __version__
from nalu_export.api.artifact import Artifact, encode_metadata
from nalu_export.api.chosen import chosen_runtimes
from nalu_export.api.emitting import Emitter
from nalu_export.api.facts import with_facts
from nalu_export.api.verify import verify as verify_file
from nalu_export.checkpoints import Checkpoint
from nalu_export.checkpoints.shards import name_of
from nalu_export.doctor.statistics import layer_table
from nalu_export.errors import InputError, ParityError, option
from nalu_export.formats import FormatKeywords, FormatName
from nalu_export.formats.base import Draft, EmitOptions
from nalu_export.graph import ModelGraph, around
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.io.keywords import part_of, public
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.io.text import plain
from nalu_export.nn.init import choose
from nalu_export.parity import CheckOptions, CheckRequest, Report
from nalu_export.parity.request import Progress
from nalu_export.source.preparing import SourceKeywords, SourceOptions, prepared, unnamed


class EmitKeywords(FormatKeywords, total=False):
    """How a model is put into a file, as keyword arguments."""

    weights: Weights
    compute: Compute


class ExportOptions(SourceKeywords, EmitKeywords, total=False):
    """Keyword arguments of :func:`nalu_export.export`, for code that passes them on.

    It is a ``TypedDict``: ``options: ExportOptions = {"weights": "live"}``, then ``export(model, path, **options)``; or
    ``def mine(**options: Unpack[ExportOptions])``.
    """

    format: FormatName | None
    check: bool
    seed: int
    samples: int | None
    runtimes: Sequence[str] | str | None


@dataclass(frozen=True)
class ExportSettings(SourceOptions):
    """How to read the source, see :class:`SourceOptions`, and how to export it, whatever the format.

    Attributes:
        format: its name; by default told from the path.
        weights: ``"folded"`` holds effective weights only; ``"live"`` keeps the raw parameters under their names.
        compute: type of the arithmetic part.
        check: whether to check before the file appears.
        seed: of the check's inputs.
        samples: of each input distribution of the check; by default 128, fewer for wide layers, for images 24.
        runtimes: that check the file and have to pass: names, or ``"all"`` for those that are installed and run this
            format; by default the one that checks it.
    """

    format: FormatName | None = None
    weights: Weights = "folded"
    compute: Compute = "float32"
    check: bool = True
    seed: int = 0
    samples: int | None = None
    runtimes: Sequence[str] | str | None = None

    def __post_init__(self) -> None:
        choose("weights", self.weights, WEIGHTS)
        choose("compute", self.compute, COMPUTE)


@public(ExportSettings, more=lambda: (each for _, each in formats.option_fields()))
def export(
    source: nn.Module | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    /,
    *,
    progress: Progress | None = None,
    **options: Unpack[ExportOptions],
) -> Artifact:
    """Export a model and check the result; the file appears at ``path`` only when it is complete and passed.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        path: where to; an existing file is replaced. ``None`` writes nothing: the artifact has the bytes in ``data``.
        progress: called with a text, the steps done and their number, 0 where it is not known.
        **options: see :class:`ExportOptions`. ``format`` is ``"onnx"``, ``"torchscript"`` or ``"cpp"``; by default the
            suffix of ``path`` tells (``.onnx``, ``.torchscript.pt``, ``.hpp`` …), else it is ``"onnx"``. A C++ header
            holds the arithmetic part of a model alone; the notes say what feeds it. ``weights`` is ``"folded"``,
            effective weights only, or ``"live"``, raw parameters under their names. ``compute`` is ``"float32"`` or
            ``"float64"``. ``check=False`` skips the check. ``seed`` and ``samples`` are those of its inputs, and
            ``runtimes`` those that have to pass: names, or ``"all"``. Of ONNX alone: ``opset``, 17 to 24, honoured
            exactly. Of a header alone: ``part``, ``namespace``, ``struct``, ``extern_c``. What the model takes:
            ``input_size``, ``example_inputs``, ``dynamic_shapes``, ``input_names``, ``output_names``, and what of it is
            arithmetic: ``arithmetic``. To read a file as :func:`nalu_export.load` does: ``model``, ``layout``, ``eps``,
            ``prefix``, ``key``, ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        The artifact, with the parity report in ``report`` unless ``check=False``.

    Raises:
        InputError: the source, an option or the target cannot be used.
        UnsupportedLayerError: a layer computes something that has no primitive.
        ParityError: the exported file does not compute what the model computes; no file was written.
        RuntimeUnavailableError: what checks this format is not installed; ``check=False`` exports without it.
    """
    settings = part_of(ExportSettings, options)
    tell = progress or (lambda *_: None)
    target = None if path is None else path if isinstance(path, Path) else Path(path)
    place = None if target is None else check_target(target, None if isinstance(source, nn.Module) else Path(source))
    emitter = _emitter(path, settings, options)
    kind = emitter.kind
    named = f"{kind.name} in memory" if target is None else str(target)
    names, every = chosen_runtimes(settings.runtimes, kind.name, named) if settings.check else ([], False)
    tell("reading", 0, 0)
    ready = prepared(source, settings)
    graph = ready.graph
    tell("exporting", 0, 0)
    path_of_part = kind.scope(graph, emitter.own.subgraph)
    part, part_notes = _part(graph, path_of_part)
    if graph.dtype == torch.float64 and settings.compute == "float32":
        kept = f"{option('compute', 'float64')} keeps those of the arithmetic"
        part_notes += (f"weights in float64 are rounded to float32; {kept}",)
    made = emitter.emit(graph.isolated(path_of_part))
    metadata = _metadata(made.graph, ready.checkpoint, made.draft, settings, kind.runtime) | part
    data = made.draft.to_bytes(encode_metadata(metadata))

    report: Report | None = None

    def verify(written: bytes) -> None:
        nonlocal report
        run, how = list(dict.fromkeys(["torch", *names])), CheckOptions(seed=settings.seed, samples=settings.samples)
        asked = CheckRequest(made.graph, written, made.sizes, settings.compute, run, how)
        report = verify_file(replace(asked, decisive=names, skip_missing=every, progress=tell), kind.name)
        about = {name: metadata[name] for name in ("weights", "compute", "layers")}
        about |= {"artifact": named, "format": kind.name}
        report = with_facts(report, source, ready.checkpoint, made.graph, about, written)
        if not report.passed:
            why = "".join(f"; {note}" for note in unnamed(ready.graph))
            where = named if target is None else f"{named}: not written"
            raise ParityError(f"{where}, the check failed: {report.summary()}{why}", report)

    if place is not None:
        write_atomically(place, data, verify if settings.check else None)
    elif settings.check:
        verify(data)
    said = (*ready.notes, *part_notes, *made.draft.notes, *made.notes)
    return Artifact(target, kind.name, data, metadata, report, said, ready.checkpoint.assumptions)


def path_beside(source: Path, format_name: str) -> Path:
    """Return where a command writes by default: ``model.pt`` → ``model.onnx``, also where the model is in parts.

    Raises:
        InputError: the source has no name, as ``..`` has none.
    """
    if not source.name:
        raise InputError(f"{source}: is a directory without a name; say where to write with {option('path', 'FILE')}")
    return source.with_name(name_of(source.name) + formats.get(format_name).suffix)


def _emitter(path: str | os.PathLike[str] | None, settings: ExportSettings, options: Mapping[str, Any]) -> Emitter:
    """The format with its own options, of those that were given.

    Raises:
        InputError: an option means nothing to the format.
    """
    name = formats.chosen(path, settings.format)
    common = {each.name for each in fields(ExportSettings)}
    own = formats.own_options(name, {key: value for key, value in options.items() if key not in common})
    emitting = EmitOptions(settings.weights, settings.compute)
    return Emitter(formats.get(name), emitting, own, settings.seed)


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


def _metadata(
    graph: ModelGraph, checkpoint: Checkpoint, draft: Draft, settings: ExportSettings, runtime: str
) -> dict[str, Any]:
    """What the file says of itself. No time, no path, no measured figure: the same source gives the same bytes."""
    parity: dict[str, Any] = {"verdict": "unchecked"}
    if settings.check:
        # The bytes that are checked are the bytes that appear, so this is written before it is known to be true; the
        # file gets its name only if it is.
        asked = [settings.runtimes] if isinstance(settings.runtimes, str) else settings.runtimes or [runtime]
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
