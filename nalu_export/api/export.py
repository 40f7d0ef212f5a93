"""Exports a model to a file: emits it, checks it, and only then writes it under its name."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import nn

from nalu_export import formats
from nalu_export._version import __version__
from nalu_export.api.artifact import Artifact, encode_metadata, shown_name
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
from nalu_export.io.files import as_path
from nalu_export.io.keywords import part_of, public
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.io.text import plain
from nalu_export.nn.init import choose
from nalu_export.parity import CheckOptions, CheckRequest, Report
from nalu_export.parity.request import Progress, no_progress
from nalu_export.source.preparing import SourceKeywords, SourceOptions, prepared, unnamed


class EmitKeywords(FormatKeywords, total=False):
    """The options that say how to emit a model, as keyword arguments."""

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
    """How to read the source, see :class:`SourceOptions`, and how to export it; the options that all formats share.

    Attributes:
        format: name of the format; by default that of the suffix of the path, else ``"onnx"``.
        weights: ``"folded"``: the file holds effective weights only; ``"live"``: it holds the raw parameters under
            their names in the state_dict.
        compute: floating-point type inside the arithmetic subgraphs.
        check: whether to check the file before it appears.
        seed: seed of the inputs of the check.
        samples: samples of each input distribution of the check; by default 128, down to 64 for wide layers, and 24 for
            images.
        runtimes: runtimes that must pass the check: names, or ``"all"`` for all installed runtimes that run the format;
            by default the one that checks an export of the format.
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


@public(ExportSettings, more=lambda: (field for _, field in formats.option_fields()))
def export(
    source: nn.Module | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    /,
    *,
    progress: Progress | None = None,
    **options: Unpack[ExportOptions],
) -> Artifact:
    """Export a model and check the result. The file appears at ``path`` only when it is complete and has passed.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        path: path of the new file; an existing file is replaced. With ``None`` nothing is written, and the bytes are in
            ``data`` of the artifact.
        progress: called with a text, the number of steps done and the number of steps, which is 0 if it is not known.
        **options: the keys of :class:`ExportOptions`, in these groups:

            - ``format``: ``"onnx"``, ``"torchscript"`` or ``"cpp"``; by default that of the suffix of ``path``
              (``.onnx``, ``.torchscript.pt``, ``.hpp`` …), else ``"onnx"``.
            - ``weights``: ``"folded"`` (default) for effective weights only, ``"live"`` for the raw parameters under
              their names. ``compute``: ``"float32"`` (default) or ``"float64"``, the type inside the arithmetic
              subgraphs.
            - The check: ``check=False`` skips it. ``seed`` and ``samples`` are those of its inputs. ``runtimes`` must
              pass: names, or ``"all"``.
            - ONNX only: ``opset``, 17 to 24, which the file has exactly.
            - C++ header only, which holds one arithmetic subgraph (the notes say what must feed it): ``part`` (its
              path), ``namespace``, ``struct``, ``extern_c``.
            - The inputs of the model: ``input_size`` (height and width of images), ``example_inputs``,
              ``dynamic_shapes``, ``input_names``, ``output_names``; and ``arithmetic``, the modules that are its
              arithmetic subgraphs.
            - How to read a file, see :func:`nalu_export.load`: ``model``, ``layout``, ``eps``, ``prefix``, ``key``,
              ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        The artifact, with the parity report in ``report`` unless ``check=False``.

    Raises:
        InputError: the source, an option or the target cannot be used.
        UnsupportedLayerError: a layer uses an operation that is not a primitive.
        ParityError: the exported file does not compute what the model computes, or no output could be compared; no file
            was written.
        RuntimeUnavailableError: a runtime of the check is not available; ``check=False`` exports without it.
        OutOfMemoryError: the model or a runtime needs more memory than is available.
    """
    settings = part_of(ExportSettings, options)
    show_progress = progress or no_progress
    target = None if path is None else as_path(path)
    place = None if target is None else check_target(target, None if isinstance(source, nn.Module) else Path(source))
    emitter = _emitter(path, settings, options)
    kind = emitter.kind
    shown = shown_name(target, kind.name)
    names, every = chosen_runtimes(settings.runtimes, kind.name, shown) if settings.check else ([], False)
    show_progress("reading", 0, 0)
    ready = prepared(source, settings)
    graph = ready.graph
    show_progress("exporting", 0, 0)
    path_of_part = kind.scope(graph, emitter.own.subgraph)
    part, part_notes = _part(graph, path_of_part)
    if graph.dtype == torch.float64 and settings.compute == "float32":
        remedy = f"{option('compute', 'float64')} keeps those of the arithmetic subgraphs"
        part_notes += (f"float64 weights are rounded to float32; {remedy}",)
    emitted = emitter.emit(graph.isolated(path_of_part))
    metadata = _metadata(emitted.graph, ready.checkpoint, emitted.draft, settings, kind.runtime) | part
    data = emitted.draft.to_bytes(encode_metadata(metadata))

    report: Report | None = None

    def verify(written: bytes) -> None:
        nonlocal report
        run = list(dict.fromkeys(["torch", *names]))
        check_options = CheckOptions(seed=settings.seed, samples=settings.samples)
        request = CheckRequest(
            emitted.graph, written, emitted.sizes, settings.compute, run, check_options, names, every, show_progress
        )
        report = verify_file(request, kind.name)
        facts = {name: metadata[name] for name in ("weights", "compute", "layers")}
        facts |= {"artifact": shown, "format": kind.name}
        report = with_facts(report, source, ready.checkpoint, emitted.graph, facts, written)
        if not report.passed:
            why = "".join(f"; {note}" for note in unnamed(ready.graph))
            where = shown if target is None else f"{shown}: not written"
            raise ParityError(f"{where}, the check failed: {report.summary()}{why}", report)

    if place is not None:
        write_atomically(place, data, verify if settings.check else None)
    elif settings.check:
        verify(data)
    notes = (*ready.notes, *part_notes, *emitted.draft.notes, *emitted.notes)
    return Artifact(target, kind.name, data, metadata, report, notes, ready.checkpoint.assumptions)


def path_beside(source: Path, format_name: str) -> Path:
    """Return the default path of an export: ``model.pt`` gives ``model.onnx``, also if the model is in several files.

    Raises:
        InputError: the source is a directory whose path has no name, such as ``..``.
    """
    if not source.name:
        raise InputError(f"{source}: is a directory without a name; say where to write with {option('path', 'FILE')}")
    return source.with_name(name_of(source.name) + formats.options_of(format_name).suffixes[0])


def _emitter(path: str | os.PathLike[str] | None, settings: ExportSettings, options: Mapping[str, Any]) -> Emitter:
    """Return the emitter of the chosen format, with those of ``options`` that are the format's own.

    Raises:
        InputError: an option belongs to another format, or its value is not allowed.
    """
    name = formats.chosen(path, settings.format)
    common = {field.name for field in fields(ExportSettings)}
    own = formats.own_options(name, {key: value for key, value in options.items() if key not in common})
    emitting = EmitOptions(settings.weights, settings.compute)
    return Emitter(formats.get(name), emitting, own, settings.seed)


def _part(graph: ModelGraph, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return metadata and notes about the rest of the model, for a file that holds one subgraph; else nothing."""
    if not name:
        return {}, ()
    rest = around(graph, name)
    features = sum(math.prod(spec.shape[1:]) for spec in graph.subgraphs[name].inputs)
    fed_by = ", ".join(map(plain, rest.before)) or "its input"
    notes = [f"the file holds only {plain(name)}: feed it the {features} numbers that the model gets from {fed_by}"]
    if rest.after:
        after = ", ".join(map(plain, rest.after))
        notes.append(f"the file does not hold what the model does with the output of {plain(name)}: {after}")
    return {"part": {"path": name, "fed_by": list(rest.before), "followed_by": list(rest.after)}}, tuple(notes)


def _metadata(
    graph: ModelGraph, checkpoint: Checkpoint, draft: Draft, settings: ExportSettings, runtime: str
) -> dict[str, Any]:
    """Return the metadata of the file.

    It has no time, no path and no measured number, so the same source and options give the same bytes.
    """
    parity: dict[str, Any] = {"verdict": "unchecked"}
    if settings.check:
        # The verdict is part of the bytes that are checked, so it is written before the check. The file appears only if
        # the check passes.
        requested = [settings.runtimes] if isinstance(settings.runtimes, str) else settings.runtimes or [runtime]
        parity = {"verdict": "passed", "runtime": ", ".join(requested), "seed": settings.seed}
    return {
        "tool": f"nalu_export {__version__}",
        "torch": torch.__version__,
        "source_sha256": checkpoint.sha256,
        **({} if checkpoint.layout is None else {"source_layout": checkpoint.layout}),
        **({"assumptions": list(map(asdict, checkpoint.assumptions))} if checkpoint.assumptions else {}),
        "weights": settings.weights,
        "compute": settings.compute,
        "layers": layer_table(graph),
        "inputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.inputs],
        "outputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.outputs],
        "parity": parity,
    }
