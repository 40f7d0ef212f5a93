"""The line of an export about the file that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nalu_export.reports.terminal.lines import shape_text

if TYPE_CHECKING:  # it imports torch
    from nalu_export.api.artifact import Artifact


def artifact_line(artifact: Artifact) -> str:
    """``written: head.onnx: onnx, 1,234 bytes, folded weights, float32; x (batch, 3) → y (batch, 1)``."""
    taken, given = (", ".join(map(_tensor, artifact.metadata[key])) for key in ("inputs", "outputs"))
    return (
        f"written: {artifact.name}: {artifact.format}, {len(artifact.data):,} bytes, "
        f"{artifact.metadata['weights']} weights, {artifact.metadata['compute']}; {taken} → {given}"
    )


def _tensor(row: Mapping[str, Any]) -> str:
    """``x (batch, 3)``, with the type if it is not float32: ``ids int64 (batch)``."""
    kind = "" if row["dtype"] == "float32" else f"{row['dtype']} "
    return f"{row['name']} {kind}{shape_text(row['shape'])}"
