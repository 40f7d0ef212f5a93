"""``model.pt`` in and out."""

from nalu_export.checkpoints.native import save
from nalu_export.checkpoints.read import Checkpoint, load, read_checkpoint

__all__ = ["Checkpoint", "load", "read_checkpoint", "save"]
