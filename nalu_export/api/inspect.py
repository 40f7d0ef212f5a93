"""Describes a model or an exported file as plain data."""

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
    """Return the layers, weights and metadata of a model or of an exported file; the content determines which it is.

    Args:
        source: a module, or the path of a ``model.pt`` or of an exported file; it is not changed.
        model: builds the module that the weights of a ``model.pt`` go into, see :func:`nalu_export.load`; an exported
            file does not need it.
        **options: how else to read a ``model.pt``, see :func:`nalu_export.load`: ``layout``, ``eps``, ``prefix``,
            ``key``, ``backbone``, ``task``, ``strict``, and ``trust``, with which the weights of a TorchScript archive
            are read too; and its inputs and arithmetic subgraphs, see :func:`nalu_export.export`: ``input_size``,
            ``example_inputs``, ``dynamic_shapes``, ``input_names``, ``output_names``, ``arithmetic``.

    Returns:
        A dict. ``kind`` is ``"model"`` or the name of the format, ``layers`` has a row for each layer, and ``weights``
        has statistics of the effective weights by layer. For a model the dict also has ``class``, ``sha256``,
        ``layout``, ``parameters``, ``notes``, ``assumptions``, ``doctor`` (its findings) and ``subgraphs``. For an
        exported file it has ``bytes``, ``weights_mode`` and the metadata under its own keys; ``weights`` is ``None`` if
        reading them would run code from the file.

    Raises:
        NaluExportError: the modules that ``arithmetic`` names cannot be captured.
        InputError: the file or an option cannot be used.
    """
    reading = SourceOptions(model=model, **options)
    trust = reading.trust
    if isinstance(source, nn.Module):
        checkpoint = source_of(source, reading)
        subject = from_module(checkpoint.model, reading)
        return _model(checkpoint.model, subject, checkpoint.sha256, None, checkpoint.notes)
    path = as_path(source)
    # A folder holds a model whose weights are in several files.
    artifact = None if os.path.isdir(path) else find_artifact(path)
    if artifact is None or (trust and artifact.format == "torchscript" and not artifact.metadata):
        opened, built = read_both(source, reading)
        subject = of_checkpoint(source, opened, built, reading)
        return _model(built.model, subject, built.sha256, built.layout, subject.notes)
    if not artifact.metadata:
        raise InputError(
            f"{os.fspath(source)}: is a file of format {artifact.format}, but has no metadata of nalu_export; "
            "give a file that nalu_export exported"
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
        "assumptions": list(map(asdict, subject.assumptions)),
        "doctor": summary(examine(subject, Settings())),
        "subgraphs": subgraphs,
        "layers": layers,
        "weights": weights,
    }


def _path(part: Part, path: str) -> str:
    """Return the path in the model of a path in a captured part of it."""
    return join(part.path, path) if path else part.path


def _subgraphs(part: Part) -> list[dict[str, Any]]:
    """Describe the arithmetic subgraphs of a captured module: kind, why they were found, shapes and formulas."""
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
