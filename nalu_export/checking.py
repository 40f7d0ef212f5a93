"""Check an artifact against its source at any later time."""

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import nn

from nalu_export import formats
from nalu_export import runtimes as all_runtimes
from nalu_export.artifact import Artifact, read_artifact
from nalu_export.environment import environment
from nalu_export.errors import InputError, NaluExportError
from nalu_export.graph import ModelGraph
from nalu_export.inputs import MAX_PIXELS, fitting, free_sizes, sweep
from nalu_export.parity import CheckOptions, Report
from nalu_export.parity.check import Progress
from nalu_export.preparing import Prepared, SourceOptions, prepared
from nalu_export.promises import with_metadata
from nalu_export.statistics import layer_table, weight_matrices
from nalu_export.text import plain
from nalu_export.verifying import verify
from nalu_export.weights import COMPUTE, Compute

ALL = "all"


def check(
    source: nn.Module | str | os.PathLike[str],
    artifact: Artifact | str | os.PathLike[str],
    /,
    runtimes: Sequence[str] | str | None = None,
    *,
    input_size: Sequence[int] | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Check that an exported file computes what a model computes.

    Args:
        source: a module or the path of a ``model.pt``.
        artifact: the exported file, also one of another tool: then it is taken for float32.
        runtimes: names of runtimes, or ``"all"`` for those that are installed and run this format; by default the one
            that checks an export of this format.
        input_size: (H, W), for a model that takes images.
        progress: called with a text, the steps done and their number.
        **options: the attributes of :class:`nalu_export.parity.CheckOptions`: ``samples``, ``seed``, ``search``,
            ``rtol``, ``atol``, ``max_ulp``, ``tf32``, ``ranges``, ``inputs``, ``only_inputs``; and to read the source
            as :func:`nalu_export.load` does: ``model``, ``layout``, ``eps``, ``prefix``, ``backbone``, ``task``,
            ``trust``, ``strict``.

    Returns:
        The report; ``report.passed`` is the verdict.

    Raises:
        InputError: a file or an option cannot be used.
        RuntimeUnavailableError: a runtime is not there, or with ``"all"`` none of them is.
    """
    reading = SourceOptions(
        **{option.name: options.pop(option.name) for option in fields(SourceOptions) if option.name in options},
        input_size=input_size,
    )
    try:
        settings = CheckOptions(**options)
    except TypeError as error:
        raise InputError(f"check takes no such option: {error}") from error
    found = artifact if isinstance(artifact, Artifact) else read_artifact(artifact)
    names, every = _names(runtimes, found)
    ready = _prepared(source, reading, found)
    graph = _part(ready.graph, found)
    model = graph.module
    compute, shapes = _compute(found), _shapes(graph, found, input_size)
    settings = replace(settings, inputs={name: fitting(model, name, x) for name, x in settings.inputs.items()})
    report = verify(
        graph,
        found.data,
        found.format,
        shapes,
        compute,
        names,
        settings,
        skip_missing=every,
        progress=progress,
    )
    report = with_metadata(report, found.format, found.data, found.metadata)
    facts = {
        "model": type(source).__name__ if isinstance(source, nn.Module) else str(source),
        "model_sha256": "" if isinstance(source, nn.Module) else ready.checkpoint.sha256,
        "artifact": str(found.path),
        "artifact_sha256": hashlib.sha256(found.data).hexdigest(),
        "format": found.format,
        "weights": str(found.metadata.get("weights", "unknown")),
        "compute": compute,
        "input_shapes": [list(shape) for shape in shapes],
        "layers": layer_table(graph),
    }
    return replace(report, subject=facts, environment=environment(), weights=weight_matrices(graph))


def _part(graph: ModelGraph, artifact: Artifact) -> ModelGraph:
    """What an artifact holds of the model, as its metadata says.

    Raises:
        InputError: a file of this format cannot hold that of this model.
    """
    said = artifact.metadata.get("part", {"path": ""})["path"]
    try:
        path = formats.get(artifact.format).scope(graph, said if artifact.metadata else None)
    except InputError as error:
        raise InputError(f"{artifact.path}: does not fit the model: {error}") from error
    if artifact.metadata and said != path:
        raise InputError(
            f"{artifact.path}: its metadata says that it holds {plain(said)} alone; {artifact.format} does not"
        )
    return graph.isolated(path)


def _names(runtimes: Sequence[str] | str | None, artifact: Artifact) -> tuple[list[str], bool]:
    """The runtimes to run, and whether every one there is was asked for."""
    wanted = [runtimes] if isinstance(runtimes, str) else list(runtimes or [formats.get(artifact.format).runtime])
    if ALL in wanted:
        return [name for name in all_runtimes.names() if all_runtimes.get(name).format in (None, artifact.format)], True
    for name in wanted:
        runs = all_runtimes.get(name).format
        if runs not in (None, artifact.format):
            raise InputError(f"runtime {name} runs {runs}, {artifact.path} is {artifact.format}")
    return list(dict.fromkeys(wanted)), False


def _compute(artifact: Artifact) -> Compute:
    value = artifact.metadata.get("compute", "float32")
    if value not in COMPUTE:
        raise InputError(f"{artifact.path}: its metadata says compute {value!r}; expected {' or '.join(COMPUTE)}")
    return value  # type: ignore[no-any-return]


def _prepared(source: nn.Module | str | os.PathLike[str], reading: SourceOptions, artifact: Artifact) -> Prepared:
    """The model, captured on samples of the shape that a file is fixed to, where the user does not say another."""
    shape = _fixed(artifact)
    told = reading.input_size is not None or reading.example_inputs is not None
    if told or not shape or artifact.metadata.get("part") or not 0 < math.prod(shape) <= MAX_PIXELS:
        return prepared(source, reading)
    try:
        return prepared(source, replace(reading, example_inputs=torch.zeros(1, *shape)))
    except (NaluExportError, RuntimeError):
        # What a file says of itself may be anything; this tells what is wrong with the source, if that is it.
        return prepared(source, reading)


def _declared(artifact: Artifact) -> tuple[int | str, ...]:
    return tuple((artifact.metadata.get("inputs") or [{}])[0].get("shape", ()))


def _fixed(artifact: Artifact) -> tuple[int, ...]:
    """Shape of a sample by the metadata, empty where an axis of it is free or it does not say."""
    shape = tuple(axis for axis in _declared(artifact)[1:] if isinstance(axis, int) and axis > 0)
    return shape if len(shape) == len(_declared(artifact)) - 1 else ()


def _shapes(graph: ModelGraph, artifact: Artifact, size: Sequence[int] | None) -> list[tuple[int, ...]]:
    """The shapes that the artifact claims to take: free axes are swept, fixed ones are kept."""
    shape, declared, fixed = tuple(graph.example.shape[1:]), _declared(artifact), _fixed(artifact)
    if len(fixed) > 1 and shape != fixed:
        text = "×".join(map(str, fixed))
        if size is not None and len(fixed) == 3:
            raise InputError(f"{artifact.path}: takes {fixed[1]}×{fixed[2]} images only")
        raise InputError(f"{artifact.path}: its metadata says inputs of {text}, which the model does not take")
    images = len(shape) == 3 and not fixed
    return sweep(graph.module, shape) if images and (not declared or free_sizes(declared)) else [shape]
