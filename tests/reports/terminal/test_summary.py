"""An export in at most 12 lines, whatever there is to say and however narrow the terminal is."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from nalu_export.io.assumption import Assumption
from nalu_export.parity import Report
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.parity.verdict import Status
from nalu_export.reports.terminal.summary import MAX_LINES, Exported, show_summary
from nalu_export.runtimes import names
from tests.reports.conftest import row, runtime

LAYERS = [{"path": f"layers.{k}", "type": kind} for k, kind in enumerate(("NALUCell", "NALUCell", "NACCell"))]
ASSUMED = Assumption("eps", "1e-10", "as it is", "--eps 1e-10")
FILE = "written: model.onnx: onnx, 3,179 bytes, folded weights, float32; input (batch, 2) → output (batch, 1)"


def report(*runtimes: str, **changes: Any) -> Report:
    rows = [
        row(name, distribution, max_ratio=ratio)
        for name in runtimes
        for distribution, ratio in (("zeros", 0.5), ("ones", 0.1))
    ]
    rows += [row(name, INTERMEDIATE, max_ratio=0.9) for name in runtimes]
    infos = tuple(runtime(name, decisive=name != "torch") for name in runtimes)
    return replace(Report(tuple(rows), infos, "bound", 0), **changes)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal is 80 columns wide whatever it is told


def shown(exported: Exported, width: int = 80, *, terminal: bool = False) -> list[str]:
    stream = io.StringIO()
    show_summary(Console(file=stream, width=width, force_terminal=terminal, no_color=True, highlight=False), exported)
    import re

    return re.sub(r"\x1b\[\d*m", "", stream.getvalue()).splitlines()


def test_what_is_said() -> None:
    exported = Exported("model.pt", LAYERS, report("torch", "tract"), ("a note",), (ASSUMED,), FILE, ("r.json",))
    assert shown(exported) == [
        "read: model.pt: 2 NALUCell, 1 NACCell",
        "assumed: eps is 1e-10 (eps=1e-10)",
        "note: a note",
        "torch  for comparison  error/bound 0.50 on zeros",
        "tract  passed          error/bound 0.50 on zeros",
        FILE,
        "written: r.json",
        "error/bound: above 1 is a failure; -v shows the tables",
    ]
    assert shown(Exported("model.pt", LAYERS, None, file=FILE)) == [
        "read: model.pt: 2 NALUCell, 1 NACCell", "not checked", FILE,
    ]  # fmt: skip


LONG = "a note of a user's model with a name that is much too long for a line of any terminal " * 4


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("count", [1, 2, 5, 14])
@pytest.mark.parametrize("text", ["a note", LONG], ids=["short", "long"])
def test_it_is_never_longer(text: str, count: int, width: int) -> None:
    found = report(*names()[:count], notes=(text,) * 3, missing={"a": text, "b": text})
    exported = Exported(text, LAYERS, found, (text,) * 9, (ASSUMED,) * 9, FILE + text, (text,) * 4)
    lines = shown(exported, width, terminal=True)
    assert len(lines) <= MAX_LINES
    assert max(map(len, lines)) <= width
    assert any(line.startswith("assumed: ") for line in lines)
    assert any("more notes; -v shows them" in line for line in lines)
    assert sum("error/bound 0.50" in line for line in lines) == (count if count <= 4 else 3)
    assert (f"and {count - 3} more runtimes, {count - 3} of them passed" in lines) == (count > 4)
    assert lines[-1] == "error/bound: above 1 is a failure; -v shows the tables"


def test_what_failed_is_never_among_the_others() -> None:
    found = report(*names())
    failed = tuple(
        replace(each, status=Status.FAILED, max_ratio=7.0)
        if (each.runtime, each.distribution) == ("tract", "ones")
        else each
        for each in found.rows
    )
    lines = shown(Exported("m", LAYERS, replace(found, rows=failed)))
    assert lines[1].split() == ["tract", "FAILED", "error/bound", "7.00", "on", "ones"]


def test_rows_that_compared_nothing_are_said() -> None:
    found = report("tract")
    rows = (*found.rows, row("tract", "tiny", status="nothing compared", undetermined=4, outputs=4, reasons=("why",)))
    lines = shown(Exported("m", LAYERS, replace(found, rows=rows)))
    assert "note: 1 of 4 rows compared nothing (why)" in lines


def test_nothing_in_it_is_markup_or_an_escape_sequence() -> None:
    evil = "[/b]\x1b[2J\n"
    exported = Exported(evil, [{"type": evil}], report(evil), (evil,), (), evil, (evil,))
    for terminal in (False, True):
        lines = shown(exported, 120, terminal=terminal)
        assert "\x1b" not in "".join(lines)
        assert sum(r"[/b]\x1b[2J\n" in line for line in lines) == 5
