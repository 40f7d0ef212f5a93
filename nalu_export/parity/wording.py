"""What is wrong with a row of a report, in words: the terminal, the files and the assertion all say the same."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nalu_export.parity.report import Report, Row

NOTHING = "nothing was compared"


def wrong(row: "Row", verdict: str) -> str:
    """What is wrong with a failed row, in one line.

    Args:
        row: of the report.
        verdict: of the report: ``"bound"``, or the tolerances in words.
    """
    if row.problem:
        return row.problem
    if row.nonfinite_mismatches:
        wanted = "NaN or infinite where they should not be, or the reverse"
        return f"{row.nonfinite_mismatches} of {row.outputs} outputs are {wanted}"
    if row.wrong_zeros:
        return f"{row.wrong_zeros} of {row.outputs} outputs are zeros of the wrong sign"
    if verdict != "bound":
        return f"{row.max_ulp_torch} ULP from PyTorch, {row.max_ulp} from float64; allowed: {verdict}"
    return f"the error is {_figure(row.max_ratio)} times its bound" + (f", E {_figure(row.max_e)}" if row.max_e else "")


def left_out(row: "Row") -> str:
    """How many outputs of a row were left out and why; empty where none was."""
    if not row.undetermined:
        return ""
    count = f"{row.undetermined} of {row.outputs} outputs left out"
    return f"{count}: {'; '.join(row.reasons)}" if row.reasons else count


def left_out_of(rows: "Iterable[Row]") -> "dict[str, list[Row]]":
    """The rows of which outputs were left out, by the most frequent reason of each."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.undetermined:
            found.setdefault(row.reasons[0] if row.reasons else "", []).append(row)
    return found


def nothing_compared(report: "Report") -> str:
    """Why a report has the verdict ``nothing compared``, in one line."""
    names = report.uncompared
    silent = list(dict.fromkeys(output for name in names for output in report.silent(name)))
    if silent:
        return f"{NOTHING} of output {', '.join(silent)} in {', '.join(names)}"
    rows = [row for row in report.decisive if row.runtime in names and row.undetermined]
    if not rows:
        return f"{NOTHING} of {', '.join(names)}" if report.decisive else NOTHING
    count = sum(row.undetermined for row in rows)
    said = f"{NOTHING} of {', '.join(names)}: all {count:,} outputs were left out"
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


def _figure(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "∞" if value > 0 else "NaN"
