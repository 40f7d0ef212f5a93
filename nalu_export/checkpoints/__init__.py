"""Reads and writes model files such as ``model.pt``."""

from nalu_export.checkpoints.native import save
from nalu_export.checkpoints.options import ReadOptions, read_options
from nalu_export.checkpoints.read import Checkpoint, load, read_as, read_checkpoint

__all__ = [
    "Checkpoint",
    "ReadOptions",
    "load",
    "read_as",
    "read_checkpoint",
    "read_options",
    "save",
]
