"""What a failed assertion raises."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nalu_export.parity import Report


class ParityAssertionError(AssertionError):
    """An artifact does not compute what its model computes, or nothing could be compared.

    Attributes:
        report: the whole check.
    """

    def __init__(self, message: str, report: "Report") -> None:
        super().__init__(message)
        self.report = report


# What pytest shows in its one line for a failure is mostly this name.
ParityAssertionError.__module__ = "nalu_export.testing"
