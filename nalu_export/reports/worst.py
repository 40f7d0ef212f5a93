"""The worst inputs of a check as an ``.npz`` file, to be run again with ``--replay``."""

from typing import TYPE_CHECKING

from nalu_export.io.npz import to_npz
from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report


class WorstInputs(Reporter):
    """One array for each runtime, ``(1, …)``, named after the runtime and the distribution that it comes from.

    Of a model with several inputs there is one for each of them, with ``:`` and its name behind that.
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
