"""Check an artifact against its source at any later time."""

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
from nalu_export.parity.request import Progress
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

    Args:
        source: a module or the path of a ``model.pt``.
        artifact: the exported file, also one of another tool: then it is taken for float32.
        runtimes: names of runtimes, or ``"all"`` for those that are installed and run this format; by default the one
            that checks an export of this format.
        progress: called with a text, the steps done and their number.
        **options: the attributes of :class:`nalu_export.parity.CheckOptions`: ``samples``, ``seed``, ``search``,
            ``rtol``, ``atol``, ``max_ulp``, ``ranges``, ``only_inputs``, ``inputs``: arrays of the user's own by the
            name of their distribution, each an array, a tuple or a dict by the names of inputs; for what runs on a
            CUDA device ``tf32``, ``device``, ``device_memory``, ``provider_options``; ``constant_folding``. What
            the model takes, where neither the file nor its layers tell: ``input_size``, ``example_inputs``,
            ``dynamic_shapes``, ``input_names``, ``output_names``, and ``arithmetic``; and to read the source as
            :func:`nalu_export.load` does: ``model``, ``layout``, ``eps``, ``prefix``, ``key``, ``backbone``, ``task``,
            ``trust``, ``strict``.

    Returns:
        The report; ``report.passed`` is the verdict.

    Raises:
        InputError: a file or an option cannot be used.
        RuntimeUnavailableError: a runtime is not there, or with ``"all"`` none of them is.
    """
    reading = part_of(SourceOptions, options)
    settings = part_of(CheckOptions, options)
    found = artifact if isinstance(artifact, Artifact) else read_artifact(artifact)
    names, every = chosen_runtimes(runtimes, found.format, found.name)
    _refuse_idle(settings, names)
    ready = _prepared(source, reading, found)
    graph = _part(ready.graph, found)
    compute = _compute(found)
    graph, sizes = _sizes(graph, found, reading.input_size)
    given = settings.inputs if not isinstance(settings.inputs, InputFile) else distributions(graph, settings.inputs)
    inputs = {name: fitting(graph, name, arrays) for name, arrays in given.items()}
    settings = replace(settings, inputs=inputs)
    try:
        asked = CheckRequest(graph, found.data, sizes, compute, names, settings, skip_missing=every)
        if progress is not None:
            asked = replace(asked, progress=progress)
        report = verify(asked, found.format, lambda: found.content)
    except OutOfMemoryError as error:
        raise OutOfMemoryError(f"{found.name}: {error}") from error
    report = with_metadata(report, found.format, found.content, found.metadata)
    artifact_facts = {
        "artifact": found.name,
        "format": found.format,
        "weights": str(found.metadata.get("weights", "unknown")),
        "compute": compute,
        "layers": layer_table(graph),
    }
    return with_facts(report, source, ready.checkpoint, graph, artifact_facts, found.data)


def _part(graph: ModelGraph, artifact: Artifact) -> ModelGraph:
    """What an artifact holds of the model, as its metadata says.

    Raises:
        InputError: a file of this format cannot hold that of this model.
    """
    said = artifact.metadata.get("part", {"path": ""})["path"]
    try:
        path = formats.get(artifact.format).scope(graph, said if artifact.metadata else None)
    except InputError as error:
        raise InputError(f"{artifact.name}: does not fit the model: {error}") from error
    if artifact.metadata and said != path:
        raise InputError(
            f"{artifact.name}: its metadata says that it holds {plain(said)} alone; {artifact.format} does not"
        )
    return graph.isolated(path)


def _refuse_idle(settings: CheckOptions, names: Sequence[str]) -> None:
    """Refuse options that no runtime of the check heeds."""
    wanted = [name for name in names if all_runtimes.get(name).cuda]
    if settings.for_cuda and not wanted:
        raise InputError(f"{option(settings.for_cuda[0])} is given, but {', '.join(names)} runs on no CUDA device")
    if settings.provider_options and not any(all_runtimes.get(name).format == "onnx" for name in wanted):
        raise InputError(f"{option('provider_options')} are ONNX Runtime's; {', '.join(wanted)} does not run in it")


def _compute(artifact: Artifact) -> Compute:
    value = artifact.metadata.get("compute", "float32")
    if value not in COMPUTE:
        raise InputError(f"{artifact.name}: its metadata says compute {value!r}; expected {' or '.join(COMPUTE)}")
    return value  # type: ignore[no-any-return]


def _prepared(source: nn.Module | str | os.PathLike[str], reading: SourceOptions, artifact: Artifact) -> Prepared:
    """The model, captured on samples like those that a file takes by its metadata, unless the user says others."""
    told = reading.input_size is not None or reading.example_inputs is not None
    given = None if told or artifact.metadata.get("part") else described(artifact.metadata)
    if given is None:
        return prepared(source, reading)
    try:
        return prepared(source, replace(reading, **given))
    except (NaluExportError, RuntimeError):
        # What a file says of itself may be anything; this tells what is wrong with the source, if that is it.
        return prepared(source, reading)


def _sizes(graph: ModelGraph, artifact: Artifact, size: Sequence[int] | None) -> tuple[ModelGraph, list[Sizes]]:
    """The sizes that the artifact claims to take: free axes are swept, fixed ones are kept."""
    declared = [tuple(row["shape"]) for row in artifact.metadata.get("inputs") or []]
    if not declared:
        return graph, sweep(graph) if graph.interface.free else [graph.sizes]
    for place, (port, shape) in enumerate(zip(graph.interface.inputs, declared, strict=False)):
        if all(isinstance(axis, str) or axis == own for axis, own in zip(shape[1:], graph.sizes[place], strict=False)):
            continue
        if size is not None and len(shape) == 4:
            raise InputError(f"{artifact.name}: takes {shape[2]}×{shape[3]} images only")
        which = "" if len(declared) == 1 else f" {plain(port.name)}"
        text = "×".join(map(str, shape[1:]))
        raise InputError(f"{artifact.name}: its metadata says inputs{which} of {text}, which the model does not take")
    said = {axis for shape in declared for axis in shape[1:] if isinstance(axis, str)}
    graph = graph.with_fixed([name for name in graph.interface.free if name not in said])
    return graph, sweep(graph) if graph.interface.free else [graph.sizes]
