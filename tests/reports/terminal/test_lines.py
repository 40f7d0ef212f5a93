import io

import pytest
from rich.console import Console

from nalu_export.reports.terminal import lines as show


def said(*parts: str | tuple[str, str], width: int = 20, terminal: bool = False) -> list[str]:
    stream = io.StringIO()
    show.say(Console(file=stream, width=width, force_terminal=terminal, no_color=True), *parts)
    return stream.getvalue().splitlines()


def test_a_console_without_a_terminal_is_wide_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show.console().print("[red]" + "x" * 90 + "[/red] :smile:", soft_wrap=True)
    assert capsys.readouterr().out == "x" * 90 + " :smile:\n"


def test_a_line_stays_whole_where_there_is_no_terminal() -> None:
    assert said("word " * 20 + "end") == ["word " * 20 + "end"]


def test_a_terminal_wraps_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")  # a dumb terminal is 80 columns wide whatever it is told
    lines = said("note: several words that do not fit", terminal=True)
    assert lines == ["note: several", "  words that do not", "  fit"]


def test_a_word_wider_than_the_terminal_is_folded() -> None:
    assert "".join(said("x" * 50, terminal=True)).replace(" ", "") == "x" * 50


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_in_a_line_is_markup_or_an_escape_sequence(terminal: bool) -> None:
    assert said("[red]a\x1b[31m :x: \n", width=60, terminal=terminal) == [r"[red]a\x1b[31m :x: \n"]
    assert said(("[/b]\x1b", "not bold"), width=60, terminal=terminal) == [r"[/b]\x1b"]
