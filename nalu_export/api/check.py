"""Checks an exported file against its model, at any time after the export."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from torch import nn

from nalu_export import formats
from nalu_export import runtimes as all_runtimes
from nalu_export.api.artifact import Artifact, read_artifact
from nalu_export.api.chosen import chosen_runtimes
from nalu_export.api.facts import with_facts
from nalu_export.api.promises import with_metadata
from nalu_export.api.verify import verify
from nalu_export.doctor.statistics import layer_table
from nalu_export.errors import InputError, NaluExportError, OutOfMemoryError, option
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.graph.interface import Sizes
from nalu_export.inputs.sizes import sweep
from nalu_export.inputs.specs import described
from nalu_export.io.keywords import part_of, public
from nalu_export.io.text import plain
from nalu_export.parity import CheckOptions, CheckRequest, Report
from nalu_export.parity.options import CheckKeywords
from nalu_export.parity.real_inputs import InputFile, distributions, fitting
from nalu_export.parity.request import Progress, no_progress
from nalu_export.source.preparing import Prepared, SourceKeywords, SourceOptions, prepared


class CheckArguments(SourceKeywords, CheckKeywords, total=False):
    """Keyword arguments of :func:`nalu_export.check`."""


@public(CheckOptions, SourceOptions)
def check(
    source: nn.Module | str | os.PathLike[str],
    artifact: Artifact | str | os.PathLike[str],
    /,
    runtimes: Sequence[str] | str | None = None,
    *,
    progress: Progress | None = None,
    **options: Unpack[CheckArguments],
) -> Report:
    """Check that an exported file computes what a model computes.

    The file is run on generated inputs in each runtime. A finite output passes if ``|out − reference| ≤ bound``. The
    reference is the model in float64, and the bound is the largest error that a correct evaluation may have. With
    ``rtol``, ``atol`` or ``max_ulp`` the distance to PyTorch's float32 output decides instead.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        artifact: the exported file. A file of another tool is checked as float32 arithmetic.
        runtimes: names of runtimes, or ``"all"`` for all installed runtimes that run this format; by default the one
            that checks an export of this format.
        progress: called with a text, the number of steps done and the number of steps.
        **options: three groups of options:

            - The attributes of :class:`nalu_export.parity.CheckOptions`: ``samples``, ``seed``, ``search``, ``rtol``,
              ``atol``, ``max_ulp``, ``ranges``, ``inputs``, ``only_inputs``, ``allow_empty``, ``constant_folding``;
              for runtimes on a CUDA device also ``tf32``, ``device``, ``device_memory`` (in bytes) and
              ``provider_options``. ``inputs`` gives the user's own arrays by the name of their distribution; each value
              is an array, a tuple of arrays or a dict of arrays by the names of the model's inputs.
            - The inputs of the model, if neither the file nor the layers determine them: ``input_size``,
              ``example_inputs``, ``dynamic_shapes``, ``input_names``, ``output_names``; and ``arithmetic``, the modules
              that are its arithmetic subgraphs.
            - How to read the source, see :func:`nalu_export.load`: ``model``, ``layout``, ``eps``, ``prefix``, ``key``,
              ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        The report. ``report.passed`` is the verdict; a check that fails does not raise.

    Raises:
        InputError: a file or an option cannot be used.
        UnsupportedLayerError: a layer uses an operation that is not a primitive.
        RuntimeUnavailableError: a runtime is not available, or with ``"all"`` none of them is.
        OutOfMemoryError: the model or a runtime needs more memory than is available.
    """
    reading = part_of(SourceOptions, options)
    settings = part_of(CheckOptions, options)
    exported = artifact if isinstance(artifact, Artifact) else read_artifact(artifact)
    names, every = chosen_runtimes(runtimes, exported.format, exported.name)
    _refuse_idle(settings, names)
    ready = _prepared(source, reading, exported)
    graph = _part(ready.graph, exported)
    compute = _compute(exported)
    graph, sizes = _sizes(graph, exported, reading.input_size)
    given = settings.inputs if not isinstance(settings.inputs, InputFile) else distributions(graph, settings.inputs)
    inputs = {name: fitting(graph, name, arrays) for name, arrays in given.items()}
    settings = replace(settings, inputs=inputs)
    try:
        shown = progress or no_progress
        request = CheckRequest(graph, exported.data, sizes, compute, names, settings, None, every, shown)
        report = verify(request, exported.format, lambda: exported.content)
    except OutOfMemoryError as error:
        raise OutOfMemoryError(f"{exported.name}: {error}") from error
    report = with_metadata(report, exported.format, exported.content, exported.metadata)
    artifact_facts = {
        "artifact": exported.name,
        "format": exported.format,
        "weights": str(exported.metadata.get("weights", "unknown")),
        "compute": compute,
        "layers": layer_table(graph),
    }
    return with_facts(report, source, ready.checkpoint, graph, artifact_facts, exported.data)


def _part(graph: ModelGraph, artifact: Artifact) -> ModelGraph:
    """Return the part of the model that an artifact holds according to its metadata.

    Raises:
        InputError: a file of this format does not hold that part of this model.
    """
    declared = artifact.metadata.get("part", {"path": ""})["path"]
    try:
        path = formats.get(artifact.format).scope(graph, declared if artifact.metadata else None)
    except InputError as error:
        raise InputError(f"{artifact.name}: does not fit the model: {error}") from error
    if artifact.metadata and declared != path:
        whole = "the whole model"
        raise InputError(
            f"{artifact.name}: its metadata says that it holds {plain(declared) or whole}, but a file of format "
            f"{artifact.format} holds {plain(path) or whole}"
        )
    return graph.isolated(path)


def _refuse_idle(settings: CheckOptions, names: Sequence[str]) -> None:
    """Refuse options that have no effect on any runtime of the check."""
    on_cuda = [name for name in names if all_runtimes.get(name).cuda]
    if settings.for_cuda and not on_cuda:
        listed = ", ".join(names)
        raise InputError(f"{option(settings.for_cuda[0])} is given, but no runtime of the check uses CUDA: {listed}")
    if settings.provider_options and not any(all_runtimes.get(name).format == "onnx" for name in on_cuda):
        given = f"{option('provider_options')} is given"
        raise InputError(f"{given}, but no runtime of the check is ONNX Runtime on CUDA: {', '.join(names)}")


def _compute(artifact: Artifact) -> Compute:
    value = artifact.metadata.get("compute", "float32")
    if value not in COMPUTE:
        raise InputError(f"{artifact.name}: its metadata says compute {value!r}; expected {' or '.join(COMPUTE)}")
    return value  # type: ignore[no-any-return]


def _prepared(source: nn.Module | str | os.PathLike[str], reading: SourceOptions, artifact: Artifact) -> Prepared:
    """Capture the model with the inputs that the user describes, else with those that the file's metadata describes."""
    by_user = reading.input_size is not None or reading.example_inputs is not None
    by_file = None if by_user or artifact.metadata.get("part") else described(artifact.metadata)
    if by_file is None:
        return prepared(source, reading)
    try:
        return prepared(source, replace(reading, **by_file))
    except (NaluExportError, RuntimeError):
        # The metadata may be wrong. If the source is wrong, this raises an error that says so.
        return prepared(source, reading)


def _sizes(graph: ModelGraph, artifact: Artifact, size: Sequence[int] | None) -> tuple[ModelGraph, list[Sizes]]:
    """Return the model with only those axes free that are free in the artifact, and the sizes to check.

    Raises:
        InputError: the metadata says input shapes that the model does not take.
    """
    declared = [tuple(row["shape"]) for row in artifact.metadata.get("inputs") or []]
    if not declared:
        return graph, sweep(graph) if graph.interface.free else [graph.sizes]
    for place, (port, shape) in enumerate(zip(graph.interface.inputs, declared, strict=False)):
        if all(isinstance(axis, str) or axis == own for axis, own in zip(shape[1:], graph.sizes[place], strict=False)):
            continue
        if size is not None and len(shape) == 4:
            raise InputError(f"{artifact.name}: takes only images of {shape[2]}×{shape[3]}; give that size")
        which = "" if len(declared) == 1 else f" {plain(port.name)}"
        text = "×".join(map(str, shape[1:]))
        raise InputError(f"{artifact.name}: its metadata says inputs{which} of {text}, which the model does not take")
    free = {axis for shape in declared for axis in shape[1:] if isinstance(axis, str)}
    graph = graph.with_fixed([name for name in graph.interface.free if name not in free])
    return graph, sweep(graph) if graph.interface.free else [graph.sizes]
