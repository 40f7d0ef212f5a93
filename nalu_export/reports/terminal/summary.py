"""Prints an export in at most 12 lines: what was read and assumed, the result of each runtime, and the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nalu_export.io.assumption import Assumption, in_one_line
from nalu_export.io.figures import aligned
from nalu_export.parity.verdict import Status, overall
from nalu_export.parity.wording import partly_empty
from nalu_export.reports.terminal.lines import lines_of
from nalu_export.reports.terminal.report import STYLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from nalu_export.parity import Report, Row
    from nalu_export.parity.report import RuntimeInfo

MAX_LINES = 12
# Up to so many runtimes have a line each. Of more, the worst have one, and the last line counts the others.
MAX_RUNTIMES = 4
LEGEND = "error/bound: above 1 is a failure; -v shows the tables"
Part = str | tuple[str, str]


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        source: the model that was read.
        layers: its layer table.
        report: the report of the check; ``None`` if there was no check.
        notes: what the export did differently from what was asked, one line each.
        assumptions: what was assumed.
        file: the line about the file; empty if no file was written.
        written: the paths of the reports.
    """

    source: str
    layers: Sequence[Mapping[str, Any]]
    report: Report | None
    notes: Sequence[str] = ()
    assumptions: Sequence[Assumption] = ()
    file: str = ""
    written: Sequence[str] = ()


def show_summary(out: Console, exported: Exported) -> None:
    """Print the result; in a terminal a wrapped text counts as several lines."""
    for line in summary(out, exported):
        out.print(line, soft_wrap=True)


def summary(out: Console, exported: Exported) -> list[Text]:
    """Return the lines. Notes get the lines that are left; those without a line are counted, and ``-v`` shows them."""
    assumed = lines_of(out, in_one_line(exported.assumptions), most=2) if exported.assumptions else []
    last = [line for runtime in _runtimes(exported.report) for line in lines_of(out, *runtime, most=1)]
    if exported.file:
        last += lines_of(out, exported.file, most=2)
    if exported.written:
        last += lines_of(out, f"written: {', '.join(exported.written)}", most=1)
    if exported.report is not None:
        last += lines_of(out, LEGEND, style="dim", most=1)
    texts = _notes(exported)
    # One line is kept for the number of notes that do not fit.
    room = MAX_LINES - len(assumed) - len(last) - bool(texts)
    first = [*lines_of(out, *_read(exported), most=2 if room > 1 else 1), *assumed]
    return [*first, *_fitting(out, texts, MAX_LINES - len(first) - len(last)), *last]


def _read(exported: Exported) -> list[Part]:
    """``read: model.pt: 2 NALUCell, 1 NACCell``."""
    kinds = Counter(str(row.get("type")) for row in exported.layers)
    what = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "arithmetic without layers"
    return [("read: ", "bold"), f"{exported.source}: {what}"]


def _notes(exported: Exported) -> list[str]:
    """Return the runtimes that did not run, the number of rows that compared nothing, and the notes."""
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
    """Return as many texts as fit into ``room`` lines, each in at most two lines."""
    found: list[Text] = []
    for number, text in enumerate(texts):
        lines = lines_of(out, text, most=2)
        more = number < len(texts) - 1
        if len(found) + len(lines) + more > room:
            return [*found, *lines_of(out, f"{len(texts) - number} more notes; -v shows them", most=1)]
        found += lines
    return found


@dataclass(frozen=True)
class _Ran:
    """One runtime of a check: its verdict, and the row that a reader should see first."""

    info: RuntimeInfo
    status: Status
    row: Row

    @property
    def word(self) -> tuple[str, str]:
        """The verdict and its style; the model itself is run for comparison and has no verdict."""
        return (self.status.shown, STYLES[self.status]) if self.info.decisive else ("for comparison", "dim")

    def line(self, name_width: int, word_width: int) -> list[Part]:
        """``onnxruntime-cpu  passed  error/bound 0.13 on 1..10``."""
        word, style = self.word
        said = ""
        if self.row.status != Status.NOTHING:
            figures = f"error/bound {aligned(self.row.max_ratio)} on {self.row.distribution}"
            said = f"  {self.row.problem or figures}"
        return [(f"{self.info.name:<{name_width}}", "bold"), "  ", (f"{word:<{word_width}}", style), said]


def _runtimes(report: Report | None) -> list[list[Part]]:
    """Return a line for each runtime; if there are too many, lines for those with the gravest results first."""
    if report is None:
        return [["not checked"]]
    ran = list(_ran(report))
    count = len(ran)
    if count > MAX_RUNTIMES:
        ran.sort(key=lambda each: (each.info.decisive, each.row.gravity), reverse=True)
        count = MAX_RUNTIMES - 1
    shown, left = ran[:count], ran[count:]
    name_width = max((len(each.info.name) for each in shown), default=0)
    word_width = max((len(each.word[0]) for each in shown), default=0)
    lines = [each.line(name_width, word_width) for each in shown]
    if left:
        passed = sum(each.status is Status.PASSED for each in left)
        lines.append([f"and {len(left)} more runtimes, {passed} of them passed"])
    return lines


def _ran(report: Report) -> Iterator[_Ran]:
    """Yield every runtime that has rows."""
    for info in report.runtimes:
        rows = [row for row in report.rows if row.runtime == info.name]
        if rows:
            status = overall(row.status for row in rows)
            if status is Status.PASSED and info.name in report.uncompared:
                status = Status.NOTHING
            yield _Ran(info, status, max(rows, key=lambda row: row.gravity))
