"""What a type checker is told of the formats there are; at run time they are found by their folders."""

from typing import Literal

from nalu_export.formats.cpp.options import CppKeywords
from nalu_export.formats.onnx.options import OnnxKeywords

FormatName = Literal["cpp", "onnx", "torchscript"]


class FormatKeywords(OnnxKeywords, CppKeywords, total=False):
    """The options of every format, among keyword arguments."""
