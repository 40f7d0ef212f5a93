import io

import pytest
from rich.console import Console

from nalu_export.doctor import Diagnosis, Finding
from nalu_export.reports.terminal.diagnosis import show_diagnosis


def shown(*findings: Finding, width: int = 40, terminal: bool = True, notes: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    out = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    show_diagnosis(out, Diagnosis("a.pt", None, None, "float32", (0.1, 1.0), notes, findings))
    return stream.getvalue()


def finding(level: str, text: str = "word " * 12 + "end.") -> Finding:
    return Finding(level, "some-code", "layers.0", text, text, text)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal is 80 columns wide whatever it is told
    monkeypatch.delenv("NO_COLOR", raising=False)


def plain(text: str) -> str:
    import re

    return re.sub("\x1b\\[[0-9;]*m", "", text)


def test_a_terminal_wraps_each_part_under_its_start() -> None:
    assert plain(shown(finding("error"), width=40)) == (
        "error[some-code] at layers.0\n"
        "  word word word word word word word\n"
        "  word word word word word end.\n"
        "  effect:  word word word word word word\n"
        "           word word word word word word\n"
        "           end.\n"
        "  remedy:  word word word word word word\n"
        "           word word word word word word\n"
        "           end.\n"
        "\n"
        "1 error\n"
    )


@pytest.mark.parametrize(("level", "color"), [("error", "31"), ("warning", "33"), ("info", "36")])
def test_levels_have_colors(level: str, color: str) -> None:
    assert f"\x1b[1;{color}m{level}[some-code]\x1b[0m at " in shown(finding(level))


@pytest.mark.parametrize(
    ("levels", "color", "text"),
    [
        (["error", "warning", "info"], "31", "1 error, 1 warning, 1 remark"),
        (["warning", "warning"], "33", "2 warnings"),
        (["info"], "32", "nothing wrong found"),
        ([], "32", "nothing wrong found"),
    ],
)
def test_the_last_line(levels: list[str], color: str, text: str) -> None:
    last = shown(*map(finding, levels)).splitlines()[-1]
    assert last.startswith(f"\x1b[1;{color}m{text}\x1b[0m")
    assert plain(last) == (f"{text}; 1 remark" if levels == ["info"] else text)


def test_elsewhere_lines_stay_whole() -> None:
    text = "word " * 30 + "end."
    lines = shown(finding("info", text), terminal=False, notes=("a note",)).splitlines()
    assert lines == [
        "note: a note", "", "info[some-code] at layers.0", f"  {text}", f"  effect:  {text}", f"  remedy:  {text}", "",
        "nothing wrong found; 1 remark",
    ]  # fmt: skip


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_markup_or_an_escape_sequence(terminal: bool) -> None:
    text = plain(shown(Finding("info", "c", "[/b]\x1b[2J", "[red]\x1b[2J", "\n\r", ":x:"), terminal=terminal))
    assert "\x1b" not in text
    assert text.splitlines()[:4] == [
        r"info[c] at [/b]\x1b[2J",
        r"  [red]\x1b[2J",
        r"  effect:  \n\r",
        "  remedy:  :x:",
    ]


def test_a_narrow_terminal() -> None:
    """It wraps by itself; a letter in each line helps nobody."""
    assert "  effect:  word word word word" in plain(shown(finding("error"), width=5)).splitlines()


def test_only_the_labels_are_dim() -> None:
    lines = shown(finding("error", "a text."), width=80).splitlines()
    assert lines[2] == "\x1b[2m  effect:  \x1b[0ma text."
