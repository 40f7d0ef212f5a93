"""The results as a matrix of runtimes and input distributions, and the rows that it summarises."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nalu_export.io.figures import figure
from nalu_export.parity.row import INTERMEDIATE
from nalu_export.parity.wording import NOTHING, compared_nothing
from nalu_export.reports._text import count

if TYPE_CHECKING:
    from nalu_export.parity.report import Report, Row


@dataclass(frozen=True)
class Cell:
    """One runtime on one input distribution.

    Attributes:
        text: error/bound, or the kind of failure.
        look: ``good``, ``bad``, ``beyond`` (failed, but not decisive), ``nothing`` (nothing compared) or ``none``.
        share: the strength of its colour, from 0 to 1.
        title: the result in words.
    """

    text: str
    look: str
    share: float
    title: str


@dataclass(frozen=True)
class Line:
    """One runtime: its cells, and the rows that they summarise.

    Attributes:
        runtime: the name of the runtime.
        decisive: whether its rows decide the verdict.
        reason: why it did not run, else empty.
        failed: how many of its rows failed.
        summary: its largest figures, in words.
        cells: one cell for each input distribution.
        rows: its rows of the report.
        notes: why outputs were left out, and which outputs could not be compared, each text once.
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
    """Return the input distributions in the order in which they ran."""
    return list(dict.fromkeys(row.distribution for row in report.rows))


def lines(report: "Report") -> list[Line]:
    """Return the runtimes that ran, then those that did not run."""
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
    summary = _summary(rows, failed, decisive)
    return Line(name, decisive, "", failed, summary, cells, tuple(rows), tuple(_notes(rows)))


def _notes(rows: "list[Row]") -> list[str]:
    """Return why outputs were left out, then the outputs of which nothing could be compared."""
    uncompared: dict[str, list[str]] = {}
    for row in rows:
        for name in row.uncompared_outputs:
            uncompared.setdefault(name, []).append(row.distribution)
    return [
        *dict.fromkeys(f"left out: {reason}" for row in rows for reason in row.reasons),
        *(f"uncompared output {name}: {', '.join(where)}" for name, where in uncompared.items()),
    ]


def _cell(row: "Row | None", criterion: str, decisive: bool) -> Cell:
    if row is None:
        return Cell("–", "none", 0.0, "not compared")
    if not row.failed and not row.passed:
        return Cell("∅", "nothing", 0.0, compared_nothing(row))
    look = "good" if row.passed else "bad" if decisive else "beyond"
    # The ratio may be NaN, which is not ≤ 1.
    share = row.max_ratio if row.max_ratio <= 1 else 1.0
    title = f"error/bound {figure(row.max_ratio)}"
    if row.distribution != INTERMEDIATE:
        title += f", E {figure(row.max_e)}, {row.max_ulp} ULP"
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
        verdict = f"{failed} of {len(rows)} rows {'failed' if decisive else 'beyond their bound'}"
    if empty:
        verdict += f", {empty} compared nothing"
    ratio, e = max(row.max_ratio for row in rows), max(row.max_e for row in rows)
    role = "" if decisive else "for comparison; "
    return f"{role}{verdict}; error/bound up to {figure(ratio)}, E up to {figure(e)}"
