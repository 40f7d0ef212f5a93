"""The ONNX format."""

from nalu_export.formats.onnx.format import FORMAT

__all__ = ["FORMAT"]
