"""Whether an artifact computes what its model computes, with numbers.

Names are imported when they are first used: what reads a report alone needs no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nalu_export.parity.check import check_bytes
    from nalu_export.parity.options import CheckOptions
    from nalu_export.parity.report import Report
    from nalu_export.parity.request import CheckRequest
    from nalu_export.parity.row import Row

__all__ = ["CheckOptions", "CheckRequest", "Report", "Row", "check_bytes"]

_HOMES = {
    "CheckOptions": "options",
    "CheckRequest": "request",
    "Report": "report",
    "Row": "row",
    "check_bytes": "check",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nalu_export.parity' has no attribute {name!r}")
    return getattr(importlib.import_module(f"nalu_export.parity.{_HOMES[name]}"), name)
