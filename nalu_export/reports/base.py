"""The base class of the reports: a file of this folder has a ``REPORTER`` that turns a report into bytes."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # parity imports torch, which no report needs
    from nalu_export.parity.report import Report


class Reporter(ABC):
    """One kind of report.

    Attributes:
        name: its name, which is also its option at the command line.
        suffix: the usual suffix of its files.
    """

    name: str
    suffix: str

    @abstractmethod
    def render(self, report: "Report") -> bytes:
        """Return the complete file; the same report gives the same bytes.

        Write it with :func:`nalu_export.io.targets.write_atomically`.
        """
