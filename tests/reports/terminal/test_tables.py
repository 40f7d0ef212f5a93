"""Tables at 60, 80 and 120 columns: no line is longer, no column is cut, and what is left out is said."""

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from nalu_export.reports.terminal.inspection import show_inspection
from nalu_export.reports.terminal.report import show_report
from nalu_export.reports.terminal.tables import show_table
from nalu_export.runtimes import names
from tests.reports.terminal.test_inspection import NEAR
from tests.reports.terminal.test_report import WIDE, report, row

WIDTHS = [60, 80, 120]
TITLES = ("distribution", "compared", "error/bound", "max E", "max ULP", "to PyTorch", "verdict")


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal is 80 columns wide whatever it is told


def console(width: int, *, terminal: bool = True) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, width=width, force_terminal=terminal, no_color=True, highlight=False), stream


def lines_of(stream: io.StringIO) -> list[str]:
    return re.sub(r"\x1b\[\d*m", "", stream.getvalue()).splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [1, 14])
def test_a_report(width: int, count: int) -> None:
    out, stream = console(width)
    rows = [
        row(name, distribution, **WIDE)
        for name in names()[:count]
        for distribution in ("mixed, zeros", "much too long " * 3)
    ]
    show_report(out, report(*rows))
    lines = lines_of(stream)
    assert max(map(len, lines)) <= width
    assert "…" not in stream.getvalue()
    head = next(line for line in lines if "error/bound" in line)
    shown = [title for title in (*TITLES, "runtime") if re.search(rf"(^| ){title}( |$)", head)]
    left_out = [line for line in lines if line.startswith("columns left out for lack of width: ")]
    said = set(left_out[0].partition(": ")[2].split(", ")) if left_out else set()
    wanted = set(TITLES) if count == 1 else {"runtime", TITLES[0], *TITLES[2:4], *TITLES[5:]}
    assert {*shown, *said} == wanted
    assert {"error/bound", "verdict"} <= set(shown)
    assert bool(left_out) == (width == 60)
    assert any(re.search(r" 1\.5e13( |$)", line) for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["layers.0", "encoder.blocks.12.feed_forward.arithmetic.layers.0"])
def test_layers(width: int, path: str) -> None:
    out, stream = console(width)
    found = {"path": path, "type": "SignedNALUCell", "in_features": 128, "out_features": 1024, "eps": 1e-10}
    gates = {"gate": {"add": 1.0, "multiply": 0.0}}
    show_inspection(out, {"layers": [found], "weights": {path: {"W_hat_mul": NEAR} | gates}})
    lines = lines_of(stream)
    assert max(map(len, lines)) <= width
    assert "…" not in stream.getvalue()
    assert " ".join(lines[0].split()).endswith("at −1 at 0 at 1 far sum product")
    assert " ".join(lines[2].split()).endswith("0% 50% 0% 0.25 100% 0%")
    if width == 60:
        assert any(line.startswith("columns left out for lack of width: type, sizes") for line in lines)


def test_elsewhere_every_column_is_whole() -> None:
    out, stream = console(40, terminal=False)
    cells = [[Text("a" * 30), Text("b" * 30), Text("c" * 30)]]
    show_table(out, ("a", "b", "c"), cells, left=("a",), dropped_first=("b",))
    assert stream.getvalue().splitlines()[-1].split() == [text.plain for text in cells[0]]


def test_without_rows() -> None:
    out, stream = console(80)
    show_table(out, ("a", "b"), [], left=(), dropped_first=("b",))
    assert lines_of(stream)[0].split() == ["a", "b"]
