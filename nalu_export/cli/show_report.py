"""How the report of a check looks in a terminal: tables of at most 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from nalu_export.cli.show import say
from nalu_export.parity.watch import INSIDE
from nalu_export.text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from nalu_export.parity import Report, Row

# With more runtimes than this, each has one line for all its families.
DETAILED = 3


def show_report(out: Console, report: Report) -> None:
    """The figures of every runtime, what was not there, and what is needed to read them."""
    detailed = len(report.runtimes) <= DETAILED
    for runtime in report.runtimes:
        role = "" if runtime.decisive else "; the model itself, for comparison"
        say(out, (runtime.name, "bold"), f" ({runtime.where}{role})")
        for remark in runtime.remarks:
            say(out, f"  {remark}")
        if detailed:
            out.print(_families(report, runtime.name))
            out.print()
    if not detailed:
        out.print()
        out.print(_overview(report))
        out.print()
    _show_missing(out, report)
    for line in _legend(report, detailed=detailed):
        say(out, line, style="dim")


def _families(report: Report, runtime: str) -> Table:
    """A line for each input family of one runtime."""
    table = _table("inputs", "samples", "of bound", "max E", "max ULP", "to PyTorch")
    for row in report.rows:
        if row.runtime == runtime:
            figures = ("", "", "") if row.family == INSIDE else _figures(row)
            table.add_row(_name(row.family), str(row.samples), _share(row.max_ratio), *figures, _verdict(row))
    return table


def _overview(report: Report) -> Table:
    """A line for each runtime, with the inputs that were worst for it."""
    table = _table("runtime", "worst inputs", "of bound", "max E", "to PyTorch")
    for runtime in report.runtimes:
        rows = [row for row in report.rows if row.runtime == runtime.name]
        # Outputs say more than the values inside, unless only those are wrong.
        worst = max(rows, key=lambda row: (not row.passed, bool(row.problem), row.family != INSIDE, row.max_ratio))
        figures = ("", "", "") if worst.family == INSIDE else _figures(worst)
        cells = (_name(runtime.name), _name(worst.family), _share(worst.max_ratio), figures[0], figures[2])
        table.add_row(*cells, _verdict(worst))
    return table


def _table(*titles: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(titles[0], min_width=13, overflow="fold")
    for title in titles[1:]:
        if title == "worst inputs":
            table.add_column(title, overflow="fold")
        else:
            table.add_column(title, justify="right", no_wrap=True, min_width=7)
    table.add_column("verdict", min_width=7)
    return table


def _name(text: str) -> str:
    return escape(printable(text))


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
        "of bound: error against float64, over what a correct evaluation may err by.",
        "E: that error in float32 roundoffs of the terms added. ULP: float32 steps.",
    ]
    if not detailed:
        lines = [lines[0], "E: that error in float32 roundoffs of the terms added. to PyTorch: in ULP."]
    if report.verdict != "bound":
        lines.append(f"Decided by nearness to PyTorch's float32 output: {report.verdict}.")
    undetermined = max((row.undetermined for row in report.rows), default=0)
    if undetermined:
        lines.append(f"Up to {undetermined} outputs of a family overflow float32 on the way and are left out.")
    return lines


def _figures(row: Row) -> tuple[str, str, str]:
    """E and the distances in float32 steps; PyTorch has none to itself."""
    return _figure(row.max_e), _count(row.max_ulp), "" if row.runtime == "torch" else _count(row.max_ulp_torch)


def _share(ratio: float) -> str:
    if not math.isfinite(ratio):
        return "∞"
    if ratio < 10:
        return f"{100 * ratio:.0f}%" if ratio >= 0.0995 or ratio == 0 else f"{100 * ratio:.1f}%"
    return f"{_figure(ratio)}×"


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 1000 else f"{value:.1e}" if math.isfinite(value) else "∞"


def _count(value: int) -> str:
    return f"{value:,}" if value < 10**6 else f"{value:.1e}"


def _verdict(row: Row) -> str:
    if row.passed:
        return "[green]passed[/green]"
    wrong = row.problem
    if not wrong and row.nonfinite_mismatches:
        wrong = f"{row.nonfinite_mismatches} NaN or ∞"
    elif not wrong and row.wrong_zeros:
        wrong = f"{row.wrong_zeros} wrong ±0"
    return "[red]FAILED[/red]" + (f" {escape(printable(wrong))}" if wrong else "")
