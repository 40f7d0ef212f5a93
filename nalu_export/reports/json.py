"""The report as JSON, for programs; docs/report.md describes each field."""

import json
from typing import TYPE_CHECKING

from nalu_export.io.text import visible_json
from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report


class JsonReporter(Reporter):
    """The JSON report; ``report.schema.json`` beside this file is its schema."""

    name = "json"
    suffix = ".json"

    def render(self, report: "Report") -> bytes:
        """Return indented UTF-8 with a final line feed; see :meth:`Reporter.render`."""
        text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        return (visible_json(text) + "\n").encode()


REPORTER = JsonReporter()
