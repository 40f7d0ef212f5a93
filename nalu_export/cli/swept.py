"""What a sweep says at its end, in at most 12 lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nalu_export.reports.terminal.lines import lines_of
from nalu_export.sweeps.overview import headline
from nalu_export.sweeps.records import ORDER, Outcome

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nalu_export.sweeps.records import Record
    from nalu_export.sweeps.result import Sweep

# Checkpoints that passed with the largest error over its bound.
MAX_WORST = 3


def show_sweep(out: Console, sweep: Sweep, written: Sequence[Path]) -> None:
    """Print counts, the first checkpoint of each kind of failure, the worst of those that passed, and where all is."""
    for line in summary(out, sweep, written):
        out.print(line, soft_wrap=True)


def summary(out: Console, sweep: Sweep, written: Sequence[Path]) -> list[Text]:
    """Return the lines."""
    count = len(sweep.records)
    rate = f", {(count - sweep.reused) / sweep.seconds:.3g}/s" if count > sweep.reused and sweep.seconds else ""
    before = f", {sweep.reused} of them done before" if sweep.reused else ""
    took = f"{sweep.seconds:.3g} s{rate}"
    lines = lines_of(out, ("sweep: ", "bold"), f"{count} checkpoints: {headline(sweep)}{before}; {took}", most=2)
    for outcome in ORDER:
        found = sweep.with_status(outcome)
        if found and outcome is not Outcome.PASSED:
            style = "bold red" if outcome is Outcome.FAILED else "bold yellow"
            others = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            lines += lines_of(out, (f"{outcome}{others}: ", style), _said(found[0]), most=1)
    for record in sweep.with_status(Outcome.PASSED)[:MAX_WORST]:
        figures = f"error/bound {record.error_over_bound or 0.0:.3g}, E {record.max_e or 0.0:.2g}"
        where = f"{record.runtime} on {record.distribution}"
        lines += lines_of(out, (f"{record.path}  ", "bold"), f"{figures} ({where})", most=1)
    if assumed := assumed_line(sweep):
        lines += lines_of(out, assumed, most=1)
    for note in sweep.notes:
        lines += lines_of(out, f"note: {note}", most=1)
    places = [sweep.overview, sweep.manifest, *([sweep.parquet] if sweep.parquet else []), *written]
    return [*lines, *lines_of(out, f"written: {', '.join(map(str, places))}", most=1)]


def assumed_line(sweep: Sweep) -> str:
    """Return in how many checkpoints something had to be assumed, and the first of them; empty if in none."""
    found = [record for record in sweep.records if record.assumptions]
    if not found:
        return ""
    first = found[0]
    return f"assumed in {len(found)} of {len(sweep.records)}: {first.path}: {'; '.join(first.assumptions)}"


def quiet_line(sweep: Sweep) -> str:
    """Return what a quiet command says of a sweep that did not pass."""
    counts = ", ".join(f"{count} {name}" for name, count in sweep.counts.items() if count)
    return f"{counts}; first {_said(sweep.worst[0])}"


def _said(record: Record) -> str:
    """Return the error of a checkpoint, with its path in front once."""
    return record.error if record.error.startswith(record.path) else f"{record.path}: {record.error}"
