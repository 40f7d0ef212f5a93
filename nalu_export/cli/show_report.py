"""How the report of a check looks in a terminal: tables of at most 80 columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from nalu_export.cli.text import printable

if TYPE_CHECKING:  # these import torch
    from rich.console import Console

    from nalu_export.parity import Report, Row

# With more runtimes than this, each has one line for all its families.
DETAILED = 3


def show_report(out: Console, report: Report) -> None:
    """The figures of every runtime, what was not there, and what is needed to read them."""
    detailed = len(report.runtimes) <= DETAILED
    for runtime in report.runtimes:
        role = "" if runtime.decisive else "; the model itself, for comparison"
        out.print(f"[bold]{runtime.name}[/bold] ({escape(printable(runtime.where))}{role})", soft_wrap=True)
        for remark in runtime.remarks:
            out.print(f"  {escape(printable(remark))}", soft_wrap=True)
        if detailed:
            rows = [row for row in report.rows if row.runtime == runtime.name]
            out.print(_table("inputs", [(row.family, row) for row in rows], to_torch=runtime.name != "torch"))
            out.print()
    if not detailed:
        out.print()
        out.print(_table("runtime", [(runtime.name, _worst(report, runtime.name)) for runtime in report.runtimes]))
        out.print()
    for name, reason in report.missing.items():
        out.print(f"not run: [bold]{name}[/bold]: {escape(printable(reason))}", soft_wrap=True)
    for line in _legend(report, detailed=detailed):
        out.print(line, style="dim", soft_wrap=True)


def _table(first: str, rows: list[tuple[str, Row]], *, to_torch: bool = True) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(first, no_wrap=True, min_width=10)
    for title in ("samples", "of bound", "max E", "max ULP", "to PyTorch"):
        table.add_column(title, justify="right", no_wrap=True, min_width=6)
    table.add_column("verdict")
    for name, row in rows:
        table.add_row(
            escape(printable(name)),
            str(row.samples),
            _share(row.max_ratio),
            _figure(row.max_e),
            _count(row.max_ulp),
            _count(row.max_ulp_torch) if to_torch else "",
            _verdict(row),
        )
    return table


def _worst(report: Report, runtime: str) -> Row:
    """The row of a runtime that decides its verdict."""
    rows = [row for row in report.rows if row.runtime == runtime]
    return max(rows, key=lambda row: (not row.passed, bool(row.problem), row.max_ratio))


def _legend(report: Report, *, detailed: bool) -> list[str]:
    lines = [
        "of bound: error against float64, as a share of what a correct evaluation may err by.",
        "E: the same error in float32 roundoffs of the terms that are added. ULP: float32 steps.",
    ]
    if not detailed:
        lines.append("One line for each runtime: its worst input family.")
    if report.verdict != "bound":
        lines.append(f"Decided by nearness to PyTorch's float32 output: {report.verdict}.")
    undetermined = max((row.undetermined for row in report.rows), default=0)
    if undetermined:
        lines.append(f"Up to {undetermined} outputs of a family overflow float32 on the way and are left out.")
    return lines


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
