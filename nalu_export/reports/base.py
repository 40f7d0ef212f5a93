"""What a report is: a file of this folder whose ``REPORTER`` turns what a check found into bytes."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # parity imports torch, which no report needs
    from nalu_export.parity.report import Report


class Reporter(ABC):
    """One kind of report.

    Attributes:
        name: as the command line spells it.
        suffix: of the default output file.
    """

    name: str
    suffix: str

    @abstractmethod
    def render(self, report: "Report") -> bytes:
        """The complete file; the same report gives the same bytes.

        Whoever writes it uses :func:`nalu_export.io.targets.write_atomically`.
        """
