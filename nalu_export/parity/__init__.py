"""The parity check: does an artifact compute what its model computes, and how far off is it."""

from nalu_export.parity.check import check_bytes
from nalu_export.parity.options import CheckOptions
from nalu_export.parity.report import Report, Row

__all__ = ["CheckOptions", "Report", "Row", "check_bytes"]
