"""``model.pt`` in and out."""

from nalu_export.checkpoints.native import save
from nalu_export.checkpoints.read import (
    Checkpoint,
    ReadOptions,
    load,
    read_as,
    read_checkpoint,
    read_options,
)

__all__ = [
    "Checkpoint",
    "ReadOptions",
    "load",
    "read_as",
    "read_checkpoint",
    "read_options",
    "save",
]
