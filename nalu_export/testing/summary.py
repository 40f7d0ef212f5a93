"""``python -m nalu_export.testing.summary REPORT.json``: a check as Markdown, for the summary of a CI job."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nalu_export.io.text import printable

LONGEST = 200
# As in nalu_export.parity.records, which imports torch.
INTERMEDIATE = "intermediate values"
VERDICTS = {"passed": "passed", "failed": "FAILED", "nothing compared": "nothing compared"}
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
        rows = [row for row in report["rows"] if row["runtime"] == runtime["name"]]
        if rows:
            lines.append(_line(runtime, rows))
    for name, reason in report["missing"].items():
        lines.append(f"| {_text(name)} | | | | not run: {_text(reason)} |")
    return "\n".join(lines) + "\n"


def _line(runtime: dict[str, Any], rows: Iterable[dict[str, Any]]) -> str:
    worst = max(rows, key=_weight)
    verdict = _verdict(worst["status"])
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


def _verdict(status: object) -> str:
    return VERDICTS.get(str(status)) or _text(status)


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
