"""The worst inputs of a check as an ``.npz`` file, which ``--replay`` runs again."""

from typing import TYPE_CHECKING

from nalu_export.io.npz import to_npz
from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report


class WorstInputs(Reporter):
    """One array ``(1, …)`` for each runtime, named after the runtime and the input distribution.

    A model with several inputs has one array for each of them. Their names end with ``:`` and the name of the input.
    """

    name = "worst"
    suffix = ".worst.npz"

    def render(self, report: "Report") -> bytes:
        """See :meth:`Reporter.render`."""
        arrays = {}
        for worst in report.worst:
            for name, x in worst.inputs.items():
                which = "" if len(worst.inputs) == 1 else f":{name}"
                arrays[f"{worst.runtime} {worst.distribution}{which}".replace("/", "∕")] = x[None]
        return to_npz(arrays, compressed=True)


REPORTER = WorstInputs()
