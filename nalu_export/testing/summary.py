"""Shows the JSON report of a check as Markdown, for the summary of a CI job.

The command is ``python -m nalu_export.testing.summary REPORT.json``.
"""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from nalu_export.io.figures import figure
from nalu_export.io.text import printable
from nalu_export.parity.row import Row
from nalu_export.parity.verdict import Status

# Largest number of characters of one text.
LONGEST = 200
FIELDS = {field.name for field in fields(Row)}
# The characters that end a code span, or a table cell even within a code span
# (https://github.github.com/gfm/#tables-extension-), with their escapes.
ESCAPED = str.maketrans({character: f"\\x{ord(character):02x}" for character in "`|"})


def markdown(report: dict[str, Any]) -> str:
    """Return a headline and a table with a line for each runtime, also for those that could not run.

    Args:
        report: the report as ``--json`` writes it. Names in it may be untrusted; they are shown as plain text.
    """
    lines = [
        f"### Parity: {_verdict(report['status'])}",
        "",
        f"{_text(report['subject'].get('artifact', ''))} against {_text(report['subject'].get('model', ''))}: "
        f"{_text(report['summary'], 1000)}",
        "",
        "| runtime | worst distribution | error/bound | E | verdict |",
        "|---|---|--:|--:|---|",
    ]
    for runtime in report["runtimes"]:
        rows = [_row(row) for row in report["rows"] if row["runtime"] == runtime["name"]]
        if rows:
            worst = max(rows, key=lambda row: row.gravity)
            lines.append(_line(runtime, worst, report["criterion"]))
    for name, reason in report["missing"].items():
        lines.append(f"| {_text(name)} | | | | not run: {_text(reason)} |")
    return "\n".join(lines) + "\n"


def _row(data: dict[str, Any]) -> Row:
    """Return a row of the report; fields that a later version of the schema adds are ignored."""
    figures = {name: float(data[name]) for name in ("max_ratio", "max_e")}  # may be the texts "inf" and "nan"
    return Row(**{name: value for name, value in data.items() if name in FIELDS} | figures)


def _line(runtime: dict[str, Any], row: Row, criterion: str) -> str:
    verdict = _verdict(row.status)
    if row.failed:
        fault = row.fault(criterion)  # no text if the numbers in the other cells show the fault
        verdict = f"**{verdict}** {_text(fault.text if fault.alone else '')}".strip()
    if not runtime["decisive"]:
        verdict += ", for comparison"
    figures = "– | –" if row.status == Status.NOTHING else f"{figure(row.max_ratio)} | {figure(row.max_e)}"
    return f"| {_text(runtime['name'])} | {_text(row.distribution)} | {figures} | {verdict} |"


def _verdict(status: str) -> str:
    return Status(status).shown if status in list(Status) else _text(status)


def _text(value: object, longest: int = LONGEST) -> str:
    """Return a text as a code span of one line, in which GitHub finds no Markdown, HTML, link or mention.

    A blank text gives an empty string. Backslash escapes would not be enough: GitHub removes them first, and then turns
    bare addresses and @names into links.
    """
    text = printable(str(value)).translate(ESCAPED)
    shown = text if len(text) <= longest else text[:longest] + "…"
    return f"`{shown}`" if shown.strip() else ""


def main(arguments: list[str]) -> int:
    """Print the Markdown of the report whose path is the only argument, and return the exit code."""
    (path,) = arguments
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(markdown(json.loads(Path(path).read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
