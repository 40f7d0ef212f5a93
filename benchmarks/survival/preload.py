"""Exports once in every format: all that exports import, however late, is there before a fork or a change of user."""

import tempfile
from pathlib import Path

from nalu_export import NALU
from nalu_export.api import export as exporting
from nalu_export.cli import progress
from nalu_export.reports.terminal import lines as show
from nalu_export.reports.terminal import report as show_report

__all__ = ["exporting", "progress", "show", "show_report"]

with tempfile.TemporaryDirectory() as _folder:
    for _format in ("onnx", "torchscript"):
        exporting.export(NALU(1, 1), Path(_folder) / _format, format=_format)
