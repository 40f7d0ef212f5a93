"""The exception of a failed assertion."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nalu_export.parity import Report


class ParityAssertionError(AssertionError):
    """An artifact does not compute what its model computes, or nothing could be compared.

    Attributes:
        report: the :class:`nalu_export.Report` of the check.
    """

    def __init__(self, message: str, report: "Report") -> None:
        super().__init__(message)
        self.report = report


# The line that pytest shows for a failure has little room, and this name takes most of it.
ParityAssertionError.__module__ = "nalu_export.testing"
