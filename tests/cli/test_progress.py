import io
import sys

import pytest

from nalu_export.cli.progress import stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with stages(quiet=False) as tell:
        tell("checking", 1, 2)
    assert capsys.readouterr() == ("", "")


def test_nothing_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with stages(quiet=True) as tell:
        tell("checking", 1, 2)
    assert terminal.getvalue() == ""


def test_a_terminal_shows_the_stage_on_stderr_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with stages(quiet=False) as tell:
        tell("checking", 1, 2)
    text = terminal.getvalue()
    assert "checking" in text or "starting" in text
    assert text.endswith("\x1b[2K")  # the line is gone at the end
    assert capsys.readouterr().out == ""


def test_a_name_in_it_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Markup of rich would end it with an error or make a link; the line is drawn once more at the end."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with stages(quiet=False) as tell:
        tell("inputs [/x][link=http://e][bold]a\x1b]8;;http://e\x07\x9b2J\u202e\n", 1, 2)
    text = terminal.getvalue()
    assert r"inputs [/x][link=http://e][bold]a\x1b]8;;http://e\x07\x9b2J\u202e\n" in text
    assert "\x1b]8" not in text
    assert "\x9b" not in text
