"""Reads and writes model files such as ``model.pt``."""

from nalu_export.checkpoints.native import save
from nalu_export.checkpoints.options import FileKeywords, ReadOptions
from nalu_export.checkpoints.read import Checkpoint, load, read_as, read_checkpoint

__all__ = [
    "Checkpoint",
    "FileKeywords",
    "ReadOptions",
    "load",
    "read_as",
    "read_checkpoint",
    "save",
]
