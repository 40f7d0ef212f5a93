"""The results as a matrix of runtimes and input distributions, and the rows behind it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nalu_export.io.figures import figure
from nalu_export.parity.wording import NOTHING, compared_nothing
from nalu_export.reports._text import count

if TYPE_CHECKING:
    from nalu_export.parity.report import Report, Row


@dataclass(frozen=True)
class Cell:
    """One runtime on one input distribution.

    Attributes:
        text: error over bound, or what kind of failure it is.
        look: ``good``, ``bad``, ``beyond`` (wrong, but does not decide), ``nothing`` (nothing compared) or ``none``.
        share: how strong its colour is, 0 to 1.
        title: in words.
    """

    text: str
    look: str
    share: float
    title: str


@dataclass(frozen=True)
class Line:
    """One runtime: its cells, and the rows that they stand for.

    Attributes:
        runtime: its name.
        decisive: whether it decides.
        reason: why it did not run, else empty.
        failed: how many of its rows failed.
        summary: its largest numbers, in words.
        cells: one for each input distribution.
        rows: as they are in the report.
        notes: why outputs were left out, each text once.
    """

    runtime: str
    decisive: bool
    reason: str
    failed: int
    summary: str
    cells: tuple[Cell, ...]
    rows: "tuple[Row, ...]"
    notes: tuple[str, ...] = ()


def distributions(report: "Report") -> list[str]:
    """In the order in which they ran."""
    return list(dict.fromkeys(row.distribution for row in report.rows))


def lines(report: "Report") -> list[Line]:
    """Those that ran, then those that could not."""
    ran = [
        _line(runtime.name, [row for row in report.rows if row.runtime == runtime.name], report, runtime.decisive)
        for runtime in report.runtimes
    ]
    return ran + [Line(name, False, reason, 0, "", (), ()) for name, reason in report.missing.items()]


def _line(name: str, rows: "list[Row]", report: "Report", decisive: bool) -> Line:
    by_distribution = {row.distribution: row for row in rows}
    cells = tuple(
        _cell(by_distribution.get(distribution), report.criterion, decisive) for distribution in distributions(report)
    )
    failed = sum(row.failed for row in rows)
    notes = dict.fromkeys(reason for row in rows for reason in row.reasons)
    return Line(name, decisive, "", failed, _summary(rows, failed, decisive), cells, tuple(rows), tuple(notes))


def _cell(row: "Row | None", criterion: str, decisive: bool) -> Cell:
    if row is None:
        return Cell("–", "none", 0.0, "not compared")
    if not row.failed and not row.passed:
        return Cell("∅", "nothing", 0.0, compared_nothing(row))
    look = "good" if row.passed else "bad" if decisive else "beyond"
    # ≤ 1 and not isfinite first: a ratio may be NaN.
    share = row.max_ratio if row.max_ratio <= 1 else 1.0
    title = f"error / bound {figure(row.max_ratio)}, E {figure(row.max_e)}, {row.max_ulp} ULP"
    text = f"{row.max_ratio:.2f}" if row.max_ratio < 10 else figure(row.max_ratio, 2)
    if row.passed:
        return Cell(text, look, round(share, 3), "; ".join(filter(None, (title, row.left_out()))))
    fault = row.fault(criterion)
    if fault.alone:
        return Cell(fault.alone, look, round(share, 3), fault.text)
    return Cell(text, look, round(share, 3), title)


def _summary(rows: "list[Row]", failed: int, decisive: bool) -> str:
    if not rows:
        return NOTHING
    empty = sum(not row.failed and not row.passed for row in rows)
    verdict = f"{count(len(rows) - failed - empty, 'row')} passed"
    if failed:
        verdict = f"{failed} of {len(rows)} {'failed' if decisive else 'beyond'}"
    if empty:
        verdict += f", {empty} compared nothing"
    ratio, e = max(row.max_ratio for row in rows), max(row.max_e for row in rows)
    role = "" if decisive else "for comparison; "
    return f"{role}{verdict}; error / bound up to {figure(ratio)}, E up to {figure(e)}"
