"""Check an artifact against its source at any later time."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from torch import nn

from nalu_export import formats
from nalu_export import runtimes as all_runtimes
from nalu_export.artifact import Artifact, read_artifact
from nalu_export.environment import environment
from nalu_export.errors import InputError
from nalu_export.graph import ModelGraph
from nalu_export.inputs import fitting, free_sizes, sample_shape, sweep
from nalu_export.parity import CheckOptions, Report
from nalu_export.parity.check import Progress
from nalu_export.preparing import SourceOptions, prepared
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
    ready = prepared(source, reading)
    graph = _part(ready.graph, found)
    model = graph.module
    compute, shapes = _compute(found), _shapes(model, found, input_size)
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


def _shapes(model: nn.Module, artifact: Artifact, size: Sequence[int] | None) -> list[tuple[int, ...]]:
    """The shapes that the artifact claims to take: free axes are swept, fixed ones are kept."""
    declared = tuple((artifact.metadata.get("inputs") or [{}])[0].get("shape", ()))
    if len(declared) == 4 and all(isinstance(axis, int) for axis in declared[1:]):
        if size is not None and tuple(size) != declared[2:]:
            raise InputError(f"{artifact.path}: takes {declared[2]}×{declared[3]} images only")
        _refuse_other_images(model, artifact, declared[1:])
        return [declared[1:]]
    shape = sample_shape(model, size)
    return sweep(model, shape) if len(shape) == 3 and (not declared or free_sizes(declared)) else [shape]


def _refuse_other_images(model: nn.Module, artifact: Artifact, shape: tuple[int, ...]) -> None:
    """What a file says of itself may be anything; inputs of that shape are made only if the model takes them."""
    try:
        fits = sample_shape(model, shape[1:]) == shape
    except InputError:
        fits = False
    if not fits:
        text = "×".join(map(str, shape))
        raise InputError(f"{artifact.path}: its metadata says inputs of {text}, which the model does not take")
