"""``python -m nalu_export.testing.summary REPORT.json``: a check as Markdown, for the summary of a CI job."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nalu_export.text import printable

LONGEST = 200
# As in nalu_export.parity.records, which imports torch.
INTERMEDIATE = "intermediate values"
ESCAPED = str.maketrans(
    {character: f"\\{character}" for character in r"\`*_{}[]()#+!|~$@"} | {"<": "&lt;", "&": "&amp;"}
)


def markdown(report: dict[str, Any]) -> str:
    """A headline, a table with a line for each runtime, and what was not run.

    Args:
        report: as ``--json`` writes it; whatever names in it hold is shown as text.
    """
    lines = [
        f"### Parity: {'FAILED' if report['status'] == 'failed' else report['status']}",
        "",
        f"{_text(report['subject'].get('artifact', ''))} against {_text(report['subject'].get('model', ''))}: "
        f"{_text(report['summary'], 1000)}",
        "",
        "| runtime | worst inputs | error / bound | E | verdict |",
        "|---|---|--:|--:|---|",
    ]
    for runtime in report["runtimes"]:
        rows = [row for row in report["rows"] if row["runtime"] == runtime["name"]]
        if rows:
            lines.append(_line(runtime, rows))
    for name, reason in report["missing"].items():
        lines.append(f"| {_text(name)} | | | | not run: {_text(reason)} |")
    return "\n".join(lines) + "\n"


def _line(runtime: dict[str, Any], rows: Iterable[dict[str, Any]]) -> str:
    worst = max(rows, key=_weight)
    verdict = _text(worst["status"])
    if worst["status"] == "failed":
        verdict = f"**FAILED** {_text(worst['problem'])}".strip()
    if not runtime["decisive"]:
        verdict += ", for comparison"
    figures = " | ".join(f"{float(worst[name]):.3g}" for name in ("max_ratio", "max_e"))
    if worst["status"] == "nothing compared":
        figures = "– | –"
    return f"| {_text(runtime['name'])} | {_text(worst['family'])} | {figures} | {verdict} |"


def _weight(row: dict[str, Any]) -> tuple[bool, bool, bool, bool, float]:
    """What is wrong comes first, then outputs; one that compared nothing stands for a runtime only where all did so."""
    failed, passed = row["status"] == "failed", row["status"] == "passed"
    return failed, bool(row["problem"]), row["family"] != INTERMEDIATE, passed, _number(row)


def _number(row: dict[str, Any]) -> float:
    ratio = float(row["max_ratio"])  # also of the texts "inf" and "nan"
    return ratio if ratio == ratio else float("inf")


def _text(value: object, longest: int = LONGEST) -> str:
    """One line in which nothing is Markdown, HTML or a mention."""
    text = printable(str(value))
    return (text if len(text) <= longest else text[:longest] + "…").translate(ESCAPED)


def main(arguments: list[str]) -> int:
    """Print it."""
    (path,) = arguments
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(markdown(json.loads(Path(path).read_text(encoding="utf-8"))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
