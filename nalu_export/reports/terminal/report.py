"""How the report of a check looks in a terminal: tables that fit from 60 columns on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from nalu_export.io.figures import aligned, whole
from nalu_export.io.text import printable
from nalu_export.parity.report import INTERMEDIATE, inputs
from nalu_export.parity.verdict import Status
from nalu_export.parity.wording import NOTHING, left_out, left_out_of
from nalu_export.reports.terminal.lines import say, say_all
from nalu_export.reports.terminal.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nalu_export.parity import Report, Row

FIGURES = ("error/bound", "max E", "max ULP", "to PyTorch")
# With more runtimes than this, each has one line for all its input distributions.
DETAILED = 3
# Input distributions that a line names; the table above it has all of them.
NAMED = 3
STYLES = {Status.PASSED: "green", Status.FAILED: "red", Status.NOTHING: "yellow"}


def show_report(out: Console, report: Report) -> None:
    """The figures of every runtime, what was not there, and what is needed to read them."""
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
    """The verdict of the whole check, with what is worst, in one line."""
    summary = report.summary().removeprefix(f"{NOTHING} of ") if report.status is Status.NOTHING else report.summary()
    say(out, (report.status.shown, STYLES[report.status]), f": {summary}")


def _show_distributions(out: Console, rows: Sequence[Row], criterion: str) -> None:
    """A line for each input distribution of one runtime."""
    titles = ("inputs", "compared", *FIGURES, "verdict")
    cells = [
        [_name(row.distribution), Text(_compared(row)), *map(Text, _figures(row)), _verdict(row, criterion)]
        for row in rows
    ]
    _show(out, titles, cells)


def _show_overview(out: Console, report: Report) -> None:
    """A line for each runtime, with the inputs that were worst for it."""
    cells = []
    for runtime in report.runtimes:
        rows = [row for row in report.rows if row.runtime == runtime.name]
        if rows:
            worst = max(rows, key=lambda row: row.gravity)
            ratio, e, _, to_pytorch = map(Text, _figures(worst))
            wrong = _verdict(worst, report.criterion)
            cells.append([_name(runtime.name), _name(worst.distribution), ratio, e, to_pytorch, wrong])
    _show(out, ("runtime", "worst inputs", "error/bound", "max E", "to PyTorch", "verdict"), cells)


def _show(out: Console, titles: Sequence[str], cells: Sequence[Sequence[Text]]) -> None:
    show_table(
        out,
        titles,
        cells,
        left=(titles[0], "worst inputs", "verdict"),
        dropped_first=("to PyTorch", "max ULP", "compared", "max E"),
        folded=("worst inputs", "verdict"),
    )


def _name(text: str) -> Text:
    return Text(printable(text))


def _show_notes(out: Console, rows: Sequence[Row], prefix: str = "") -> None:
    """What no column has room for, each text once: what is wrong besides numbers, and why outputs were left out."""
    problems = dict.fromkeys(row.problem for row in rows if row.problem)
    for problem in problems:
        say(out, f"  {prefix}{_inputs([row for row in rows if row.problem == problem])}: {problem}")
    for found in left_out_of(rows).values():
        say(out, f"  {prefix}{_inputs(found)}: {left_out(found, most=1)}")


def _inputs(rows: Sequence[Row]) -> str:
    names = [row.distribution for row in rows]
    if len(names) == 1:
        return inputs(names[0])
    if len(names) <= NAMED:
        return f"inputs {', '.join(names)}"
    return f"inputs {', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"


def _show_missing(out: Console, report: Report) -> None:
    """What could not run, in one line for each reason; how to get it is what asking for it by name says."""
    reasons: dict[str, list[str]] = {}
    for name, reason in report.missing.items():
        reasons.setdefault(reason.partition(";")[0], []).append(name)
    for reason, names in reasons.items():
        say(out, "not run: ", (", ".join(names), "bold"), f": {reason}")
    if reasons:
        say(out, "--runtime with the name of one says how to get it.", style="dim")


def _legend(report: Report, *, detailed: bool) -> list[str]:
    lines = [
        "error/bound: error against float64, over what a correct evaluation may err by.",
        "E: that error in float32 roundoffs of the terms added. ULP: float32 steps.",
    ]
    if not detailed:
        lines = [lines[0], "E: that error in float32 roundoffs of the terms added. to PyTorch: in ULP."]
    if report.criterion != "bound":
        lines.append(f"Decided by nearness to PyTorch's float32 output: {report.criterion}.")
    return lines


def _compared(row: Row) -> str:
    """How many numbers were compared, and of how many where some were left out."""
    counts = (row.outputs - row.undetermined, row.outputs) if row.undetermined else (row.outputs,)
    return "/".join(whole(count).replace(",", "") for count in counts)


def _figures(row: Row) -> tuple[str, str, str, str]:
    """Error over bound, E, and the distances in float32 steps; PyTorch has none to itself."""
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
