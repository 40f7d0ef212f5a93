"""The options of ONNX."""

from dataclasses import dataclass
from typing import ClassVar, TypedDict

from nalu_export.formats._options import FormatOptions, format_option

OPSETS = range(17, 25)


@dataclass(frozen=True)
class OnnxOptions(FormatOptions):
    """How an ONNX file is written.

    Attributes:
        opset: version of the standard operators, honoured exactly.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".onnx",)

    opset: int = format_option(
        20, "ONNX: version of the standard operators (opset).", low=OPSETS.start, high=OPSETS.stop - 1
    )


class OnnxKeywords(TypedDict, total=False):
    """:class:`OnnxOptions` as a type checker sees them among keyword arguments."""

    opset: int


OPTIONS = OnnxOptions
