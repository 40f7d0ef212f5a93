"""``python -m nalu_export.testing.summary REPORT.json``: a check as Markdown, for the summary of a CI job."""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from nalu_export.io.figures import figure
from nalu_export.io.text import printable
from nalu_export.parity.row import Row
from nalu_export.parity.verdict import Status

LONGEST = 200
FIELDS = {field.name for field in fields(Row)}
# What ends a span of code, and a cell of a table even within one (https://github.github.com/gfm/#tables-extension-).
ESCAPED = str.maketrans({character: f"\\x{ord(character):02x}" for character in "`|"})


def markdown(report: dict[str, Any]) -> str:
    """A headline, a table with a line for each runtime, and what was not run.

    Args:
        report: as ``--json`` writes it; whatever names in it hold is shown as text.
    """
    lines = [
        f"### Parity: {_verdict(report['status'])}",
        "",
        f"{_text(report['subject'].get('artifact', ''))} against {_text(report['subject'].get('model', ''))}: "
        f"{_text(report['summary'], 1000)}",
        "",
        "| runtime | worst inputs | error / bound | E | verdict |",
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
    """A row of the report; a later version of the schema may say more of it."""
    figures = {name: float(data[name]) for name in ("max_ratio", "max_e")}  # also of the texts "inf" and "nan"
    return Row(**{name: value for name, value in data.items() if name in FIELDS} | figures)


def _line(runtime: dict[str, Any], row: Row, criterion: str) -> str:
    said = _verdict(row.status)
    if row.failed:
        fault = row.fault(criterion)  # where its figures say it, they stand beside it
        said = f"**{said}** {_text(fault.text if fault.alone else '')}".strip()
    if not runtime["decisive"]:
        said += ", for comparison"
    figures = "– | –" if row.status == Status.NOTHING else f"{figure(row.max_ratio)} | {figure(row.max_e)}"
    return f"| {_text(runtime['name'])} | {_text(row.distribution)} | {figures} | {said} |"


def _verdict(status: str) -> str:
    return Status(status).shown if status in list(Status) else _text(status)


def _text(value: object, longest: int = LONGEST) -> str:
    """One line as a span of code, in which nothing is Markdown, HTML, a link or a mention; nothing of nothing.

    Backslashes would not do: GitHub makes links of bare addresses and of @names after it has taken them away.
    """
    text = printable(str(value)).translate(ESCAPED)
    shown = text if len(text) <= longest else text[:longest] + "…"
    return f"`{shown}`" if shown.strip() else ""


def main(arguments: list[str]) -> int:
    """Print it."""
    (path,) = arguments
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(markdown(json.loads(Path(path).read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
