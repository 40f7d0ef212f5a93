import io
import sys

import pytest

from nalu_export.cli.progress import counted, stages
from nalu_export.sweeps.result import Tally


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


@pytest.mark.parametrize("quiet", [False, True])
def test_only_notes_of_a_sweep_where_there_is_no_terminal(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with counted(quiet=quiet) as tell:
        tell(Tally(1, 2, 0, 0))
        tell(Tally(1, 2, 0, 0, "dask: lost\x1b the scheduler"))
    assert capsys.readouterr() == ("", "nalu-export: dask: lost\\x1b the scheduler\n")


def test_a_terminal_shows_how_far_a_sweep_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with counted(quiet=False) as tell:
        tell(Tally(1, 4, 1, 0))
        tell(Tally(2, 4, 1, 1, "a [bold]note"))
        tell(Tally(4, 4, 1, 1))
    text = terminal.getvalue()
    assert "nalu-export: a [bold]note" in text
    assert "4/4" in text
    assert "1 not passed, 1 done before" in text
    assert text.endswith("\x1b[2K")
    assert capsys.readouterr().out == ""
