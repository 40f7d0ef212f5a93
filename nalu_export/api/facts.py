"""Adds to a report what is not measured: its subject, the versions of libraries, the weights and the assumptions."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from nalu_export.api.environment import environment
from nalu_export.checkpoints import Checkpoint
from nalu_export.doctor.statistics import weight_matrices
from nalu_export.graph import ModelGraph, Port
from nalu_export.parity import Report


def with_facts(
    report: Report,
    source: nn.Module | str | os.PathLike[str],
    checkpoint: Checkpoint,
    graph: ModelGraph,
    artifact: Mapping[str, Any],
    data: bytes,
) -> Report:
    """Return the report with its subject, environment, weights and assumptions.

    Args:
        report: report of a check.
        source: the model that the artifact was compared with.
        checkpoint: origin of the model.
        graph: the part of the model that the artifact holds, captured.
        artifact: facts about the artifact by name: ``artifact`` (its name), ``format``, ``weights``, ``compute``, and
            ``layers``, see :func:`nalu_export.doctor.statistics.layer_table`.
        data: bytes of the artifact.
    """
    facts = {
        "model": type(source).__name__ if isinstance(source, nn.Module) else str(source),
        "model_sha256": "" if isinstance(source, nn.Module) else checkpoint.sha256,
        "artifact": artifact["artifact"],
        "artifact_sha256": hashlib.sha256(data).hexdigest(),
        "format": artifact["format"],
        "weights": artifact["weights"],
        "compute": artifact["compute"],
        "inputs": [_subject(port) for port in graph.interface.inputs],
        "outputs": [_subject(port) for port in graph.interface.outputs],
        "layers": artifact["layers"],
    }
    return replace(
        report,
        subject=facts,
        environment=environment(),
        weights=weight_matrices(graph),
        assumptions=checkpoint.assumptions,
    )


def _subject(port: Port) -> dict[str, Any]:
    return {"name": port.name, "dtype": port.type_name, "shape": list(port.shape)}
