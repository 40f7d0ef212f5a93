"""Prints the report of a check in a terminal: tables that fit 60 columns or more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from nalu_export.io.figures import aligned, whole
from nalu_export.io.text import printable
from nalu_export.parity.report import INTERMEDIATE, titled
from nalu_export.parity.verdict import Status
from nalu_export.parity.wording import NOTHING, left_out, left_out_of
from nalu_export.reports.terminal.lines import say, say_all
from nalu_export.reports.terminal.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nalu_export.parity import Report, Row

FIGURES = ("error/bound", "max E", "max ULP", "to PyTorch")
DISTRIBUTION = "distribution"
# With more runtimes than this, each runtime has one line for all its input distributions.
DETAILED = 3
# A line names at most so many input distributions; the table above it lists all.
NAMED = 3
STYLES = {Status.PASSED: "green", Status.FAILED: "red", Status.NOTHING: "yellow"}


def show_report(out: Console, report: Report) -> None:
    """Print the figures of every runtime, the runtimes that did not run, and a legend."""
    detailed = len(report.runtimes) <= DETAILED
    for runtime in report.runtimes:
        role = "" if runtime.decisive else "; the model itself, for comparison"
        say(out, (runtime.name, "bold"), f" ({runtime.where}{role})")
        for remark in runtime.remarks:
            say(out, f"  {remark}")
        rows = [row for row in report.rows if row.runtime == runtime.name]
        if detailed:
            _show_distributions(out, rows, report.criterion)
            _show_notes(out, rows)
            out.print()
    if not detailed:
        out.print()
        _show_overview(out, report)
        for runtime in report.runtimes:
            rows = [row for row in report.rows if row.runtime == runtime.name]
            _show_notes(out, rows, f"{runtime.name}, ")
        out.print()
    say_all(out, report.notes, report.assumptions)
    _show_missing(out, report)
    for line in _legend(report, detailed=detailed):
        say(out, line, style="dim")


def show_verdict(out: Console, report: Report) -> None:
    """Print the verdict of the whole check and its worst result, in one line."""
    summary = report.summary().removeprefix(f"{NOTHING} for ") if report.status is Status.NOTHING else report.summary()
    say(out, (report.status.shown, STYLES[report.status]), f": {summary}")


def _show_distributions(out: Console, rows: Sequence[Row], criterion: str) -> None:
    """Print a line for each input distribution of one runtime."""
    titles = (DISTRIBUTION, "compared", *FIGURES, "verdict")
    cells = [
        [_name(row.distribution), Text(_compared(row)), *map(Text, _figures(row)), _verdict(row, criterion)]
        for row in rows
    ]
    _show(out, titles, cells)


def _show_overview(out: Console, report: Report) -> None:
    """Print a line for each runtime, with the input distribution that was worst for it."""
    cells = []
    for runtime in report.runtimes:
        rows = [row for row in report.rows if row.runtime == runtime.name]
        if rows:
            worst = max(rows, key=lambda row: row.gravity)
            ratio, e, _, to_pytorch = map(Text, _figures(worst))
            wrong = _verdict(worst, report.criterion)
            cells.append([_name(runtime.name), _name(worst.distribution), ratio, e, to_pytorch, wrong])
    _show(out, ("runtime", DISTRIBUTION, "error/bound", "max E", "to PyTorch", "verdict"), cells)


def _show(out: Console, titles: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    show_table(
        out,
        titles,
        cells,
        left=(titles[0], DISTRIBUTION, "verdict"),
        dropped_first=("to PyTorch", "max ULP", "compared", "max E"),
        folded=(DISTRIBUTION, "verdict"),
    )


def _name(text: str) -> Text:
    return Text(printable(text))


def _show_notes(out: Console, rows: Sequence[Row], prefix: str = "") -> None:
    """Print the problems of rows, and why outputs were left out. No column has room for them; each text comes once."""
    problems = dict.fromkeys(row.problem for row in rows if row.problem)
    for problem in problems:
        say(out, f"  {prefix}{_named([row for row in rows if row.problem == problem])}: {problem}")
    for found in left_out_of(rows).values():
        say(out, f"  {prefix}{_named(found)}: {left_out(found, most=1)}")


def _named(rows: Sequence[Row]) -> str:
    names = [row.distribution for row in rows]
    if len(names) == 1:
        return titled(names[0])
    if len(names) <= NAMED:
        return f"distributions {', '.join(names)}"
    return f"distributions {', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"


def _show_missing(out: Console, report: Report) -> None:
    """Print the runtimes that did not run, one line for each reason.

    The error of a check that names such a runtime says how to install it.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in report.missing.items():
        reasons.setdefault(reason.partition(";")[0], []).append(name)
    for reason, names in reasons.items():
        say(out, "not run: ", (", ".join(names), "bold"), f": {reason}")
    if reasons:
        say(out, "A check with --runtime NAME says how to get that runtime.", style="dim")


def _legend(report: Report, *, detailed: bool) -> list[str]:
    """Return the lines that explain the columns of the tables, and what decides if the bound does not."""
    decides = report.criterion == "bound"
    return [
        *([] if detailed else ["A line shows the worst distribution of a runtime."]),
        f"error/bound: error against float64 divided by its bound{'; above 1 is a failure' if decides else ''}.",
        f"E: error in float32 roundoffs of added terms. {'ULP, ' if detailed else ''}to PyTorch: float32 steps.",
        *([] if decides else [f"criterion: {report.criterion}, in place of the error bound."]),
    ]


def _compared(row: Row) -> str:
    """Return how many numbers were compared; if some were left out, also of how many."""
    counts = (row.outputs - row.undetermined, row.outputs) if row.undetermined else (row.outputs,)
    return "/".join(whole(count).replace(",", "") for count in counts)


def _figures(row: Row) -> tuple[str, str, str, str]:
    """Return error/bound, E, and the two distances in float32 steps; PyTorch has no distance from itself."""
    if row.status == Status.NOTHING or (row.problem and not row.outputs):
        return "–", "–", "–", "–"
    if row.distribution == INTERMEDIATE:
        return aligned(row.max_ratio), "", "", ""
    to_pytorch = "" if row.runtime == "torch" else whole(row.max_ulp_torch)
    return aligned(row.max_ratio), aligned(row.max_e), whole(row.max_ulp), to_pytorch


def _verdict(row: Row, criterion: str) -> Text:
    status = Status(row.status)
    wrong = row.fault(criterion).beside if row.failed else ""
    return Text.assemble((status.shown, STYLES[status]), f" {wrong}" if wrong else "")
