"""Whatever a name holds, a terminal gets printable text: every place of the command line that prints is walked."""

import ast
import contextlib
import functools
import io
import json
import os
import pty
import re
import sys
import threading
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import click
import pytest
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import nalu_export
from nalu_export.cli.main import main
from nalu_export.formats.onnx.format import OnnxFormat
from nalu_export.sweeps import sweep as sweeping
from tests.cli.hostile_names import EVIL, NAME, PARTS, SWEEPS, commands, write

PACKAGE = Path(nalu_export.__file__).parent
# What prints.
FOLDERS = (PACKAGE / "cli", PACKAGE / "reports" / "terminal")
# What rich itself writes: styles, and for the bar the cursor, its visibility, cleared lines and carriage returns.
RICH = re.compile(r"\x1b\[[\d;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r")
# What str.isprintable takes for letters and marks, and what shows nothing.
BLANK = "\u3164\ufe0f\u2800\u115f\u034f"
PRINTING = {"echo", "print", "add_row", "say", "write", "update"}
# The process that waits for the command: it has texts of its own alone; tests/cli/test_supervisor.py reads them.
APART = {"supervisor.py"}
# Nobody but a full disk gets there; tests/cli/test_main.py does.
UNREACHED = {"the output cannot be written"}


@pytest.mark.slow
def test_whatever_is_named_a_terminal_gets_printable_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "600")  # wide enough for rich to cut nothing away
    monkeypatch.delenv("NO_COLOR", raising=False)
    write()
    wrong: list[str] = []
    with recorded(monkeypatch) as sites:
        for words in commands():
            wrong += walked(words)
        monkeypatch.setenv("COLUMNS", "50")  # too narrow for all columns of a table
        wrong += walked(("inspect", "nalu.pt"))
        monkeypatch.setenv("COLUMNS", "600")
        monkeypatch.setattr("nalu_export.sweeps.sweep._executor", told)
        for words in SWEEPS:
            wrong += walked(words)
        monkeypatch.setattr(OnnxFormat, "part", lambda *_: None)  # as of a file whose parts cannot be told apart
        wrong += walked(PARTS)
        for error in (RuntimeError(EVIL), SystemExit(EVIL)):  # bugs, and code that would end the process
            monkeypatch.setattr("nalu_export.checkpoints.layout_table.rows", mock.Mock(side_effect=error))
            wrong += walked(("layouts",))
            wrong += walked(("layouts", "--debug"))
    for kind in ("json", "xml", "html"):
        (report,) = Path().glob(f"*.{kind}")
        text = report.read_text(encoding="utf-8")
        wrong += [f"{kind}: {found}" for found in _wrong(text)]
        assert "\\x1b[2J" in text or "\\u001b[2J" in text
    assert EVIL in {row["distribution"] for row in json.loads(Path(f"{NAME}.json").read_text())["rows"]}
    ElementTree.parse(f"{NAME}.xml")
    assert wrong == []
    left = ", ".join(f"{name}:{line}" for name, line in sorted(_sites() - sites))
    assert not left, f"no command of the walk prints there: {left}"


_executor = sweeping._executor


@contextlib.contextmanager
def told(*arguments: Any) -> Iterator[Any]:
    """The executor of a sweep, after a note as of a scheduler that is lost."""
    *_, say = arguments
    say(EVIL)
    with _executor(*arguments) as executor:
        yield executor


def walked(words: tuple[str, ...]) -> list[str]:
    """What is wrong with what a command prints, into files and into terminals."""
    wrong = []
    for way in (piped, terminal):
        stdout, stderr = way(words)
        if stdout and ("--json=-" in words or words[-1] == "--json" or words[-2:] == ("--json", "-")):
            wrong += _wrong_json(stdout)
        for stream, text in (("stdout", stdout), ("stderr", stderr)):
            wrong += [f"{way.__name__} {stream} {words!a}: {text}" for text in _wrong(text)]
    return wrong


def _wrong(text: str) -> list[str]:
    rest = text.replace("\n", "")
    found = {char for char in rest if not char.isprintable() or char in BLANK}
    return [f"{''.join(sorted(found))!a} in {ascii(rest)[:300]}"] if found else []


def _wrong_json(text: str) -> list[str]:
    """It is JSON, and what is escaped comes back."""
    try:
        json.loads(text)
    except ValueError as error:
        return [f"{error}: {ascii(text)[:300]}"]
    return []


def piped(words: tuple[str, ...]) -> tuple[str, str]:
    """What stdout and stderr get where they are files."""
    with io.TextIOWrapper(io.BytesIO(), "utf-8") as out, io.TextIOWrapper(io.BytesIO(), "utf-8") as err:
        _run(words, out, err)
        return out.buffer.getvalue().decode(), err.buffer.getvalue().decode()


def terminal(words: tuple[str, ...]) -> tuple[str, str]:
    """The same of two terminals, without what rich writes of its own accord."""
    with _opened() as (out, shown), _opened() as (err, said):
        _run(words, out, err)
    return tuple(RICH.sub("", b"".join(parts).decode()) for parts in (shown, said))  # type: ignore[return-value]


@contextlib.contextmanager
def _opened() -> Iterator[tuple[io.TextIOWrapper, list[bytes]]]:
    """A pseudo-terminal to write to, and what it got once it is closed."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # Linux: the other end is closed
            while data := os.read(ours, 65536):
                parts.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with open(theirs, "w", encoding="utf-8") as stream:
            yield stream, parts
    finally:
        reader.join()
        os.close(ours)


def _run(words: tuple[str, ...], out: io.TextIOWrapper, err: io.TextIOWrapper) -> None:
    """The command as the interpreter runs it, a traceback and warnings included."""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = _show_warning
        try:
            main.main(list(words), prog_name="nalu-export")
        except SystemExit:
            pass
        finally:
            out.flush()
            err.flush()


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """As Python does it; pytest has put something else in its place."""
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


@contextlib.contextmanager
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[str, int]]]:
    """The calls within the command line that led to something printed, as (file, line) while this is entered."""
    found: set[tuple[str, int]] = set()

    def record(owner: object, name: str, **always: object) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapper(*args: object, **kwargs: object) -> object:
            frame: FrameType | None = sys._getframe(1)
            while frame is not None:
                file = Path(frame.f_code.co_filename)
                if file.parent in FOLDERS:
                    found.add((str(file), frame.f_lineno))
                frame = frame.f_back
            return original(*args, **kwargs | always)

        monkeypatch.setattr(owner, name, wrapper)

    record(click, "echo")
    record(Console, "print")
    record(Table, "add_row")
    record(Progress, "update", refresh=True)  # whatever is told is shown, however short
    yield found
    for file, first, last in _calls():
        if any(name == file and first <= line <= last for name, line in found):
            found.add((file, first))


def _sites() -> set[tuple[str, int]]:
    return {(file, first) for file, first, _ in _calls()}


@functools.cache
def _calls() -> list[tuple[str, int, int]]:
    """Every call in the source of the command line that prints."""
    found = []
    for path in (file for folder in FOLDERS for file in sorted(folder.glob("*.py")) if file.name not in APART):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                source = ast.get_source_segment(text, node) or ""
                # What the waiting process writes is bytes of its own, and goes into a pipe or holds no name.
                if source.startswith("os.write("):
                    continue
                if name in PRINTING and not any(part in source for part in UNREACHED):
                    found.append((str(path), node.lineno, node.end_lineno or node.lineno))
    return found
