"""The TorchScript format."""

from nalu_export.formats.torchscript.format import FORMAT

__all__ = ["FORMAT"]
