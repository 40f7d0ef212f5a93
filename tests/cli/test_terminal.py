"""What a person sees: the commands in a pseudo-terminal of 80 columns, and in a pipe."""

import os
import pty
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path

import pytest

FEW = ("--samples", "8", "--search", "2")


def in_terminal(*arguments: object, stdout: bool = True) -> tuple[int, str, bytes]:
    """Exit code, what the terminal got, and what a pipe got in place of stdout."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "nalu_export", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs if stdout else subprocess.PIPE,
        stderr=theirs,
        env=clean | {"TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        try:
            data = os.read(ours, 65536) if ready else b""
        except OSError:  # Linux: the other end is closed
            break
        if not data:
            break
        shown += data
    piped = process.stdout.read() if process.stdout else b""
    if process.stdout:
        process.stdout.close()
    os.close(ours)
    return process.wait(timeout=60), shown.decode(), piped


@pytest.mark.quick(1)
@pytest.mark.parametrize("names", [(), ("--runtime", "all")], ids=["one", "all"])
def test_a_check_fits_into_80_columns(names: tuple[str, ...], source: Path, artifact: Path) -> None:
    code, shown, _ = in_terminal("check", source, artifact, *names, *FEW, "--json", "r.json")
    assert code == 0
    assert "━" * 8 in plain(shown)  # the bar, on stderr
    assert "Traceback" not in shown
    assert "Warning" not in shown
    _, _, result = shown.rpartition("\x1b[2K")
    lines = plain(result).splitlines()
    assert any(line.startswith("passed: ") for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_the_bar_is_on_stderr_and_the_result_on_stdout(source: Path, artifact: Path) -> None:
    code, shown, piped = in_terminal("check", source, artifact, *FEW, stdout=False)
    assert code == 0
    assert "━" * 8 in plain(shown)
    assert "passed" not in shown
    assert b"\x1b" not in piped
    assert piped.decode().splitlines()[-1].startswith("passed: ")


@pytest.mark.quick(1)
@pytest.mark.parametrize("options", [("-q",), ("--json", "-")], ids=" ".join)
def test_no_bar(options: tuple[str, ...], source: Path, artifact: Path) -> None:
    code, shown, piped = in_terminal("check", source, artifact, *FEW, *options, stdout=False)
    assert (code, shown) == (0, "")
    assert bool(piped) == ("-q" not in options)


@pytest.mark.slow
def test_no_library_says_anything_on_stderr(
    source: Path, artifact: Path, real: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    done = real("check", "model.pt", "model.onnx", "--runtime", "all", *FEW, "--html", "r.html", "--junit", "r.xml")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", [(), ("check",), ("export",), ("inspect",)], ids=str)
def test_the_help_is_ascii_and_fits(command: tuple[str, ...]) -> None:
    code, shown, _ = in_terminal(*command, "--help")
    assert code == 0
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 80


def plain(text: str) -> str:
    """Without the sequences that set colours."""
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])
