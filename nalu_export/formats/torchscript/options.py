"""The options of TorchScript: it has none."""

from dataclasses import dataclass
from typing import ClassVar

from nalu_export.formats._options import FormatOptions


@dataclass(frozen=True)
class TorchScriptOptions(FormatOptions):
    """How a TorchScript archive is written."""

    suffixes: ClassVar[tuple[str, ...]] = (".torchscript.pt", ".pt", ".ts")


OPTIONS = TorchScriptOptions
