"""How a diagnosis looks in a terminal: one block for each finding, as compilers show theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from nalu_export.io.text import printable
from nalu_export.reports.terminal.lines import say

if TYPE_CHECKING:  # it imports torch
    from nalu_export.doctor import Diagnosis, Finding

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_INDENT = 11
# A terminal narrower than that wraps by itself, rather than giving a letter to each line.
_NARROWEST = 20


def show_diagnosis(out: Console, diagnosis: Diagnosis) -> None:
    """What had to be assumed, the findings, and one line that sums them up."""
    from nalu_export.doctor import counted

    for note in diagnosis.notes:
        say(out, f"note: {note}", style="dim")
    for each in diagnosis.assumptions:
        say(out, f"assumed: {each}")
    said: set[tuple[str, str, str]] = set()
    for finding in diagnosis.findings:
        _show(out, finding, said)
    graver = {level: number for level, number in diagnosis.counts.items() if level != "info"}
    if diagnosis.notes or diagnosis.assumptions or diagnosis.findings:
        out.print()
    if any(graver.values()):
        say(out, (counted(diagnosis.counts), _STYLES["error" if diagnosis.failed else "warning"]))
    else:
        remarks = counted(diagnosis.counts)
        say(out, ("nothing wrong found", "bold green"), f"; {remarks}" if remarks else "")


def _show(out: Console, finding: Finding, said: set[tuple[str, str, str]]) -> None:
    """A finding; what follows and what to do is said once for each kind."""
    out.print()
    say(out, (f"{finding.level}[{finding.code}]", _STYLES[finding.level]), " at ", (finding.where, "bold"))
    _part(out, "", finding.what)
    for label, text in (("effect:", finding.effect), ("remedy:", finding.remedy)):
        if (finding.code, label, text) not in said:
            _part(out, label, text)
            said.add((finding.code, label, text))


def _part(out: Console, label: str, text: str) -> None:
    """A text with its label before it; in a terminal its further lines begin where the first does."""
    head = f"  {label:<{_INDENT - 2}}" if label else "  "
    if not out.is_terminal:
        out.print(Text(head + printable(text)), soft_wrap=True)
        return
    for number, line in enumerate(Text(printable(text)).wrap(out, max(out.width - len(head), _NARROWEST))):
        line.rstrip()
        out.print(Text.assemble((" " * len(head) if number else head, "dim"), line), soft_wrap=True)
