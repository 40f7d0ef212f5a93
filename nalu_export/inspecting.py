"""What is in a model or an exported file, as plain data."""

import os
from pathlib import Path
from typing import Any

from nalu_export import formats
from nalu_export.artifact import Artifact, find_artifact
from nalu_export.checkpoints import read_options
from nalu_export.checkpoints.factory import Factory, from_factory
from nalu_export.checkpoints.read import read_both
from nalu_export.doctor import Settings, examine, summary
from nalu_export.doctor.subject import of_checkpoint
from nalu_export.errors import InputError
from nalu_export.statistics import artifact_statistics, layer_table, weight_statistics


def inspect(
    path: str | os.PathLike[str], factory: Factory | None = None, *, trust: bool = False, **options: Any
) -> dict[str, Any]:
    """Layers, weights and metadata of a ``model.pt`` or of an exported file; the kind is told from the content.

    Args:
        path: the file.
        factory: builds the module that the weights of a ``model.pt`` go into, see :func:`nalu_export.load`; for an
            exported file it makes layers of your own known.
        trust: also read the weights of a TorchScript archive or a pickled module, which runs what is in it.
        **options: how else to read a ``model.pt``, see :func:`nalu_export.load`: ``layout``, ``eps``, ``prefix``,
            ``backbone``, ``task``, ``strict``.

    Returns:
        A dict with ``kind`` (``"model"`` or the format), ``layers`` and ``weights`` (``None`` where not read); an
        exported file adds its metadata under the names that it has there.

    Raises:
        InputError: the file cannot be read.
    """
    artifact = find_artifact(Path(path))
    if artifact is None or (trust and artifact.format == "torchscript" and not artifact.metadata):
        opened, checkpoint = read_both(path, read_options(model=factory, trust=trust, **options))
        return {
            "kind": "model",
            "sha256": checkpoint.sha256,
            "layout": checkpoint.layout,
            "parameters": sum(parameter.numel() for parameter in checkpoint.model.parameters()),
            "notes": list(checkpoint.notes),
            "doctor": summary(examine(of_checkpoint(path, opened, checkpoint), Settings())),
            "layers": layer_table(checkpoint.model),
            "weights": weight_statistics(checkpoint.model),
        }
    if not artifact.metadata:
        raise InputError(f"{os.fspath(path)}: is {artifact.format}, but not exported by nalu_export: no metadata in it")
    if factory is not None:
        from_factory(factory)
    return {"kind": artifact.format, "bytes": len(artifact.data), **artifact.metadata} | {
        "weights_mode": artifact.metadata.get("weights"),
        "weights": _artifact_statistics(artifact, trust=trust),
    }


def _artifact_statistics(artifact: Artifact, *, trust: bool) -> dict[str, Any] | None:
    try:
        tensors = formats.get(artifact.format).read_weights(artifact.data, trust=trust)
        if tensors is None:
            return None
        layers, folded = artifact.metadata.get("layers", []), artifact.metadata.get("weights") != "live"
        return artifact_statistics(layers, tensors, folded=folded)
    except InputError as error:
        raise InputError(f"{artifact.path}: {error}") from error
