"""An export in at most 12 lines: what was read and assumed, each runtime with its worst inputs, and the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nalu_export.io.assumption import Assumption, in_one_line
from nalu_export.parity.verdict import Status
from nalu_export.parity.wording import partly_empty
from nalu_export.reports.terminal.lines import lines_of
from nalu_export.reports.terminal.report import STYLES, figure

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nalu_export.parity import Report
    from nalu_export.parity.report import RuntimeInfo

MAX_LINES = 12
# Runtimes that have a line of their own; of more, the worst of the others has one.
MAX_RUNTIMES = 4
LEGEND = "error/bound: error over its error bound; -v shows tables"
Part = str | tuple[str, str]


@dataclass(frozen=True)
class Exported:
    """What is said of an export.

    Attributes:
        source: what was read.
        layers: its layer table.
        report: of the check; ``None`` where there was none.
        notes: what was done differently from what was asked, one line each.
        assumptions: what had to be assumed.
        file: the line on the file; empty where none was written.
        written: the paths of reports.
    """

    source: str
    layers: Sequence[Mapping[str, Any]]
    report: Report | None
    notes: Sequence[str] = ()
    assumptions: Sequence[Assumption] = ()
    file: str = ""
    written: Sequence[str] = ()


def show_summary(out: Console, exported: Exported) -> None:
    """Print it; in a terminal the lines are counted as it shows them."""
    for line in summary(out, exported):
        out.print(line, soft_wrap=True)


def summary(out: Console, exported: Exported) -> list[Text]:
    """The lines. Notes have the room that is left; what had to be left out is counted, and ``-v`` shows it."""
    assumed = lines_of(out, in_one_line(exported.assumptions), most=2) if exported.assumptions else []
    last = [line for runtime in _runtimes(exported.report) for line in lines_of(out, *runtime, most=1)]
    if exported.file:
        last += lines_of(out, exported.file, most=2)
    if exported.written:
        last += lines_of(out, f"written: {', '.join(exported.written)}", most=1)
    if exported.report is not None:
        last += lines_of(out, LEGEND, style="dim", most=1)
    texts = _notes(exported)
    # A line is kept for what is said of notes that have no room.
    room = MAX_LINES - len(assumed) - len(last) - bool(texts)
    first = [*lines_of(out, *_read(exported), most=2 if room > 1 else 1), *assumed]
    return [*first, *_fitting(out, texts, MAX_LINES - len(first) - len(last)), *last]


def _read(exported: Exported) -> list[Part]:
    """``model.pt: 2 NALUCell, 1 NACCell``."""
    kinds = Counter(str(row.get("type")) for row in exported.layers)
    what = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "arithmetic without layers"
    return [("read: ", "bold"), f"{exported.source}: {what}"]


def _notes(exported: Exported) -> list[str]:
    """What did not run, what compared nothing, and notes."""
    texts = [f"note: {note}" for note in exported.notes]
    if exported.report is not None:
        empty = partly_empty(exported.report) if exported.report.passed else ""
        missing = ", ".join(exported.report.missing)
        texts = [
            *([f"not run: {missing}"] if missing else []),
            *([f"note: {empty}"] if empty else []),
            *(f"note: {note}" for note in exported.report.notes),
            *texts,
        ]
    return texts


def _fitting(out: Console, texts: Sequence[str], room: int) -> list[Text]:
    """Texts in so many lines, each in at most two of them."""
    found: list[Text] = []
    for number, text in enumerate(texts):
        lines = lines_of(out, text, most=2)
        more = number < len(texts) - 1
        if len(found) + len(lines) + more > room:
            return [*found, *lines_of(out, f"{len(texts) - number} more notes; -v shows them", most=1)]
        found += lines
    return found


def _runtimes(report: Report | None) -> list[list[Part]]:
    """A line for each runtime, or for as many as there is room for, the gravest first."""
    if report is None:
        return [["not checked"]]
    worst = {info.name: [row for row in report.rows if row.runtime == info.name] for info in report.runtimes}
    ran = [info for info in report.runtimes if worst[info.name]]
    order = ran
    if len(ran) > MAX_RUNTIMES:
        gravest = {name: max(row.gravity for row in rows) for name, rows in worst.items() if rows}
        order = sorted(ran, key=lambda info: (info.decisive, gravest[info.name]), reverse=True)
    own = order[:MAX_RUNTIMES]
    wide = (
        max((len(info.name) for info in own), default=0),
        max((len(_word(info, report)[0]) for info in own), default=0),
    )
    lines = [_line(info, report, wide) for info in order[: MAX_RUNTIMES - (len(ran) > MAX_RUNTIMES)]]
    left = order[len(lines) :]
    if left:
        passed = sum(row_status(info, report) is Status.PASSED for info in left)
        lines.append([f"and {len(left)} more runtimes, {passed} of them passed"])
    return lines


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _word(info: RuntimeInfo, report: Report) -> tuple[str, str]:
    """A verdict and its style; of the model itself there is none."""
    status = row_status(info, report)
    return (status.shown, STYLES[status]) if info.decisive else ("compared", "dim")


def _line(info: RuntimeInfo, report: Report, wide: tuple[int, int]) -> list[Part]:
    """``onnxruntime-cpu  passed  error/bound 0.13 on 1..10``."""
    row = max((row for row in report.rows if row.runtime == info.name), key=lambda row: row.gravity)
    word, style = _word(info, report)
    said = f"  {row.problem}" if row.problem else f"  error/bound {figure(row.max_ratio)} on {row.family}"
    said = "" if row.status == Status.NOTHING else said
    return [(f"{info.name:<{wide[0]}}", "bold"), "  ", (f"{word:<{wide[1]}}", style), said]


def row_status(info: RuntimeInfo, report: Report) -> Status:
    """The verdict on one runtime."""
    rows = [row for row in report.rows if row.runtime == info.name]
    if any(row.failed for row in rows):
        return Status.FAILED
    return Status.NOTHING if info.name in report.uncompared or not any(row.passed for row in rows) else Status.PASSED
