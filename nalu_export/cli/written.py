"""The line of an export about the file that it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports torch
    from nalu_export.api.artifact import Artifact


def artifact_line(artifact: Artifact) -> str:
    """``written: head.onnx: onnx, 1,234 bytes, folded weights, float32; x (batch, 3) → y (batch, 1)``."""
    from nalu_export.api.artifact import tensors_text

    taken, given = (tensors_text(artifact.metadata[key]) for key in ("inputs", "outputs"))
    return (
        f"written: {artifact.name}: {artifact.format}, {len(artifact.data):,} bytes, "
        f"{artifact.metadata['weights']} weights, {artifact.metadata['compute']}; {taken} → {given}"
    )
