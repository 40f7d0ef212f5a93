"""The worst inputs of a check as an ``.npz`` file, to be run again with ``--replay``."""

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report


class WorstInputs(Reporter):
    """One array for each runtime, ``(1, …)``, named after the runtime and the family that it comes from.

    Of a model with several inputs there is one for each of them, with ``:`` and its name behind that.
    """

    name = "worst"
    suffix = ".worst.npz"

    def render(self, report: "Report") -> bytes:
        """See :meth:`Reporter.render`."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for worst in report.worst:
                for name, x in worst.inputs.items():
                    which = "" if len(worst.inputs) == 1 else f":{name}"
                    array = io.BytesIO()
                    np.save(array, x[None], allow_pickle=False)
                    # A ZipInfo of its own has a fixed date; numpy.savez writes the time of day into the file.
                    entry = zipfile.ZipInfo(f"{worst.runtime} {worst.family}{which}.npy".replace("/", "∕"))
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, array.getvalue())
        return buffer.getvalue()


REPORTER = WorstInputs()
