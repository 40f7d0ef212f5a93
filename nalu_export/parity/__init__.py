"""Whether an artifact computes what its model computes, with numbers."""

from nalu_export.parity.check import check_bytes
from nalu_export.parity.options import CheckOptions
from nalu_export.parity.report import Report, Row
from nalu_export.parity.request import CheckRequest

__all__ = ["CheckOptions", "CheckRequest", "Report", "Row", "check_bytes"]
