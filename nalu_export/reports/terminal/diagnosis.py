"""Prints a diagnosis in a terminal: one block for each finding, as compilers print theirs."""

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
# A narrower terminal wraps the lines by itself; otherwise each line would have one letter.
_NARROWEST = 20


def show_diagnosis(out: Console, diagnosis: Diagnosis) -> None:
    """Print the notes and assumptions, the findings, and one line that counts them."""
    from nalu_export.doctor import counted

    for note in diagnosis.notes:
        say(out, f"note: {note}", style="dim")
    for each in diagnosis.assumptions:
        say(out, f"assumed: {each}")
    said: set[tuple[str, str, str]] = set()
    for number, finding in enumerate(diagnosis.findings):
        if number or diagnosis.notes or diagnosis.assumptions:
            out.print()
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
    """Print a finding; the same effect or remedy of one code is printed once."""
    say(out, (f"{finding.level}[{finding.code}]", _STYLES[finding.level]), " at ", (finding.where, "bold"))
    _part(out, "", finding.what)
    for label, text in (("effect:", finding.effect), ("remedy:", finding.remedy)):
        if (finding.code, label, text) not in said:
            _part(out, label, text)
            said.add((finding.code, label, text))


def _part(out: Console, label: str, text: str) -> None:
    """Print a text after its label; in a terminal, further lines are indented like the first."""
    head = f"  {label:<{_INDENT - 2}}" if label else "  "
    if not out.is_terminal:
        out.print(Text(head + printable(text)), soft_wrap=True)
        return
    for number, line in enumerate(Text(printable(text)).wrap(out, max(out.width - len(head), _NARROWEST))):
        line.rstrip()
        out.print(Text.assemble((" " * len(head) if number else head, "dim"), line), soft_wrap=True)
