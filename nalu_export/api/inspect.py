"""What is in a model or an exported file, as plain data."""

import os
from dataclasses import asdict
from typing import Any, Unpack

from torch import nn

from nalu_export import formats
from nalu_export.api.artifact import Artifact, find_artifact
from nalu_export.checkpoints.factory import Factory
from nalu_export.checkpoints.read import read_both
from nalu_export.doctor import Settings, examine, summary
from nalu_export.doctor.capturing import Part
from nalu_export.doctor.statistics import artifact_statistics, layer_table, weight_statistics
from nalu_export.doctor.subject import Subject, from_module, of_checkpoint
from nalu_export.errors import InputError
from nalu_export.graph import formulas
from nalu_export.graph.naming import join
from nalu_export.io.files import as_path
from nalu_export.io.keywords import public
from nalu_export.source import source_of
from nalu_export.source.preparing import SourceFileKeywords, SourceOptions


@public(SourceOptions)
def inspect(
    source: nn.Module | str | os.PathLike[str], model: Factory | None = None, **options: Unpack[SourceFileKeywords]
) -> dict[str, Any]:
    """Layers, weights and metadata of a model or of an exported file; the kind is told from the content.

    Args:
        source: a module, a ``model.pt`` or an exported file.
        model: builds the module that the weights of a ``model.pt`` go into, see :func:`nalu_export.load`; an exported
            file needs none.
        **options: how else to read a ``model.pt``, see :func:`nalu_export.load`: ``layout``, ``eps``, ``prefix``,
            ``key``, ``backbone``, ``task``, ``strict``, and ``trust``, which also reads the weights of a TorchScript
            archive; and what the model is fed with and what of it is arithmetic, see :func:`nalu_export.export`:
            ``input_size``, ``example_inputs``, ``dynamic_shapes``, ``arithmetic``.

    Returns:
        A dict with ``kind`` (``"model"`` or the format), ``layers`` and ``weights`` (``None`` where not read); a model
        adds its arithmetic ``subgraphs``; an exported file its metadata
        under the names that it has there.

    Raises:
        InputError: the file cannot be read.
    """
    read = SourceOptions(model=model, **options)
    trust = read.trust
    if isinstance(source, nn.Module):
        checkpoint = source_of(source, read)
        return _model(checkpoint.model, from_module(checkpoint.model, read), checkpoint.sha256, None, checkpoint.notes)
    given = as_path(source)
    # A folder of weights in several files is no artifact.
    artifact = None if os.path.isdir(given) else find_artifact(given)
    if artifact is None or (trust and artifact.format == "torchscript" and not artifact.metadata):
        opened, built = read_both(source, read)
        subject = of_checkpoint(source, opened, built, read)
        return _model(built.model, subject, built.sha256, built.layout, subject.notes)
    if not artifact.metadata:
        raise InputError(
            f"{os.fspath(source)}: is {artifact.format}, but not exported by nalu_export: no metadata in it"
        )
    return {"kind": artifact.format, "bytes": len(artifact.data), **artifact.metadata} | {
        "weights_mode": artifact.metadata.get("weights"),
        "weights": _artifact_statistics(artifact, trust=trust),
    }


def _model(
    model: nn.Module, subject: Subject, sha256: str, layout: str | None, notes: tuple[str, ...]
) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    weights: dict[str, dict[str, Any]] = {}
    subgraphs: list[dict[str, Any]] = []
    for part in subject.captured.parts:
        layers += [row | {"path": _path(part, row["path"])} for row in layer_table(part.graph)]
        weights |= {_path(part, path): found for path, found in weight_statistics(part.graph).items()}
        subgraphs += _subgraphs(part)
    return {
        "kind": "model",
        "class": type(model).__name__,
        "sha256": sha256,
        "layout": layout,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "notes": list(dict.fromkeys((*notes, *subject.notes))),
        "assumptions": [asdict(each) for each in subject.assumptions],
        "doctor": summary(examine(subject, Settings())),
        "subgraphs": subgraphs,
        "layers": layers,
        "weights": weights,
    }


def _path(part: Part, path: str) -> str:
    """A path in the model, of one in a part of it."""
    return join(part.path, path) if path else part.path


def _subgraphs(part: Part) -> list[dict[str, Any]]:
    """The arithmetic subgraphs of a captured module: what they are, why they were found, and their formulas."""
    return [
        {
            "path": _path(part, name),
            "type": subgraph.type,
            "whole": subgraph.path is not None,
            "calls": subgraph.calls,
            "why": subgraph.why,
            "captured_by": part.graph.how,
            "inputs": [["batch", *spec.shape[1:]] for spec in subgraph.inputs],
            "outputs": [["batch", *spec.shape[1:]] for spec in subgraph.outputs],
            "formula": formulas(subgraph.module),
        }
        for name, subgraph in part.graph.subgraphs.items()
    ]


def _artifact_statistics(artifact: Artifact, *, trust: bool) -> dict[str, Any] | None:
    try:
        tensors = formats.get(artifact.format).read_weights(artifact.content, trust=trust)
        if tensors is None:
            return None
        layers, folded = artifact.metadata.get("layers", []), artifact.metadata.get("weights") != "live"
        return artifact_statistics(layers, tensors, folded=folded)
    except InputError as error:
        raise InputError(f"{artifact.name}: {error}") from error
