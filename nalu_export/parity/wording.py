"""What a report says in words. Every report and message takes its words from here.

:func:`fault` says what is wrong with a row; docs/report.md has the same words, and a test compares them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nalu_export.io.figures import figure

if TYPE_CHECKING:
    from nalu_export.parity.report import Report
    from nalu_export.parity.row import Row

NOTHING = "nothing was compared"
NOT_A_PASS = "A check that compared no output is not a pass"
#: The figures of a row by the name of their field, as a list of them reads.
FIGURES = {
    "samples": "samples",
    "outputs": "outputs",
    "max_ratio": "largest error over its bound",
    "max_e": "largest E",
    "max_ulp": "largest distance from the reference, in float32 steps",
    "max_ulp_torch": "largest distance from PyTorch's float32 output, in float32 steps",
    "nonfinite_mismatches": "outputs that are NaN or infinite where they should not be, or the reverse",
    "wrong_zeros": "outputs that are zeros of the wrong sign",
    "undetermined": "outputs left out of the comparison",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with a failed row, in the lengths that reports have room for.

    Attributes:
        text: one line.
        beside: a few words beside the row's figures, ``7 NaN or ∞``; empty where the figures or a line of their own
            say it.
        alone: one word in place of the figures, ``NaN/∞``; empty where the error over its bound says it.
    """

    text: str
    beside: str = ""
    alone: str = ""


def fault(row: "Row", criterion: str) -> Fault:
    """What is wrong with a failed row: the gravest of what is.

    Args:
        row: of the report.
        criterion: of the report: ``"bound"``, or the tolerances in words.
    """
    if row.problem:
        return Fault(row.problem, alone="error")
    if row.nonfinite_mismatches:
        text = _some("nonfinite_mismatches", row.nonfinite_mismatches, row.outputs)
        return Fault(text, f"{row.nonfinite_mismatches} NaN or ∞", "NaN/∞")
    if row.wrong_zeros:
        return Fault(_some("wrong_zeros", row.wrong_zeros, row.outputs), f"{row.wrong_zeros} wrong ±0", "±0")
    if criterion != "bound":
        return Fault(f"{row.max_ulp_torch} ULP from PyTorch, {row.max_ulp} from float64; allowed: {criterion}")
    # Intermediate values and integers have no E.
    e = f", E {figure(row.max_e)}" if row.max_e else ""
    return Fault(f"the error is {figure(row.max_ratio)} times its bound{e}")


def _some(field: str, count: int, of: int) -> str:
    """``3 of 8 outputs are zeros of the wrong sign``."""
    return f"{count} of {of} outputs {FIGURES[field].removeprefix('outputs that ')}"


def left_out(rows: "Iterable[Row]", most: int | None = None) -> str:
    """How many outputs of some rows were left out and why; empty where none was.

    Args:
        rows: of a report.
        most: how many reasons are said; ``None`` for all.
    """
    found = [row for row in rows if row.undetermined]
    if not found:
        return ""
    reasons = list(dict.fromkeys(reason for row in found for reason in row.reasons))[:most]
    count = f"{sum(row.undetermined for row in found)} of {sum(row.outputs for row in found)} outputs left out"
    return f"{count}: {'; '.join(reasons)}" if reasons else count


def left_out_of(rows: "Iterable[Row]") -> "dict[str, list[Row]]":
    """The rows of which outputs were left out, by the most frequent reason of each."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.undetermined:
            found.setdefault(row.reasons[0] if row.reasons else "", []).append(row)
    return found


def compared_nothing(row: "Row") -> str:
    """What a row says that neither passed nor failed, in one line."""
    return ": ".join(filter(None, (str(row.status), left_out([row]))))


def nothing_compared(report: "Report") -> str:
    """Why a report has the verdict ``nothing compared``, in one line."""
    names = report.uncompared
    outputs = list(dict.fromkeys(output for name in names for output in report.uncompared_outputs(name)))
    if outputs:
        return f"{NOTHING} for output {', '.join(outputs)} in {', '.join(names)}"
    rows = [row for row in report.decisive if row.runtime in names and row.undetermined]
    if not rows:
        return f"{NOTHING} for {', '.join(names)}" if report.decisive else NOTHING
    count = sum(row.undetermined for row in rows)
    said = f"{NOTHING} for {', '.join(names)}: all {count:,} outputs were left out"
    return "; ".join(filter(None, (said, _main_reason(rows))))


def partly_empty(report: "Report") -> str:
    """How many rows of a report that passed compared nothing, and why; empty where all compared something."""
    empty = [row for row in report.decisive if not row.failed and not row.passed]
    if not empty:
        return ""
    said = f"{len(empty)} of {len(report.decisive)} rows compared nothing"
    reason = _main_reason(empty)
    return f"{said} ({reason})" if reason else said


def _main_reason(rows: "Iterable[Row]") -> str:
    """The reason for which most outputs were left out."""
    found = left_out_of(rows)
    return max(found, key=lambda reason: sum(row.undetermined for row in found[reason]), default="")
