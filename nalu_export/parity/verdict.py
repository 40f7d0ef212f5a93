"""The three verdicts of a comparison, a row and a whole report."""

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """What a comparison found.

    Attributes:
        PASSED: at least one output was compared, and none is wrong.
        FAILED: an output is wrong, or the runtime gave none.
        NOTHING: no output could be compared. It is not a pass.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOTHING = "nothing compared"

    @property
    def shown(self) -> str:
        """The word for people, who have to see a failure among many rows."""
        return "FAILED" if self is Status.FAILED else self.value


def overall(parts: Iterable[Status]) -> Status:
    """The verdict of several parts: one failure fails, and one comparison is enough for a pass."""
    found = set(parts)
    return next((status for status in (Status.FAILED, Status.PASSED) if status in found), Status.NOTHING)
