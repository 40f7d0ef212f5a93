"""nalu_export.cli.guard: whatever is raised wherever, it ends in one line and an exit code that is no verdict."""

import builtins
import importlib
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nalu_export.cli.guard import without_debug
from nalu_export.cli.main import main
from nalu_export.errors import EXIT_BAD_INPUT, EXIT_BROKEN_PIPE, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_RUNTIME_MISSING
from nalu_export.graph import recall

# Where something may be raised: functions of every stage, as the module has them that calls them.
PLACES = [
    "nalu_export.checkpoints.shards.read_bytes",
    "nalu_export.checkpoints.shards.unpack",
    "nalu_export.checkpoints.read.state_of",
    "nalu_export.checkpoints.read.assign",
    "nalu_export.source.preparing.source_of",
    "nalu_export.source.preparing.prepare",
    "nalu_export.source.preparing.sample_shape",
    "nalu_export.source.preparing.capture",
    "nalu_export.graph.capture.outputs_of",
    "nalu_export.graph.capture.copied",
    "nalu_export.api.export.encode_metadata",
    "nalu_export.api.export.verify_file",
    "nalu_export.api.export.write_atomically",
    "nalu_export.io.targets._NewFile.write",
    "nalu_export.io.targets._NewFile.become",
    "nalu_export.cli.export.tell",
    "nalu_export.cli.written.artifact_line",
]
CODES = {EXIT_BAD_INPUT, EXIT_RUNTIME_MISSING, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE}


# Of some class each fits.
ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    ("a text\nof two lines",),
    ("utf-8", b"x", 0, 1, "why"),
    ("utf-8", "x", 0, 1, "why"),
    ("why", [ValueError("x")]),
    ("x", 0, 1, "why"),
)
FAULT = "internal error, there is no verdict: {}; --debug shows the traceback, please report it"
MEMORY = "needs more memory than there is, or than --max-memory allows"


class Panic(BaseException):
    """As pyo3 raises of a panic in Rust: no Exception."""


class Mute(Exception):  # noqa: N818
    """Whose text is somebody's code as well."""

    def __str__(self) -> str:
        raise RuntimeError


def exceptions() -> Iterator[BaseException]:
    """One of each class that Python has, and some that it has not."""
    classes = [each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, BaseException)]
    for kind in dict.fromkeys((*classes, Panic, Mute)):
        for arguments in (
            ("a text\nof two lines",),
            ("utf-8", b"x", 0, 1, "why"),
            ("why", [ValueError("x")]),
            ("x", "x", 0, 1, "y"),
        ):
            try:
                yield kind(*arguments)
            except TypeError:
                continue
            break


def places_of(error: BaseException, number: int) -> Iterator[str]:
    """A few for each, another few for the next."""
    del error
    for step in range(2):
        yield PLACES[(2 * number + step) % len(PLACES)]


def raising(error: BaseException) -> Callable[..., Any]:
    def stand_in(*_: Any, **__: Any) -> Any:
        raise error

    return stand_in


def patched(place: str, error: BaseException, patch: pytest.MonkeyPatch) -> None:
    path, name = place.rsplit(".", 1)
    try:
        owner: Any = importlib.import_module(path)
    except ModuleNotFoundError:
        path, inner = path.rsplit(".", 1)
        owner = getattr(importlib.import_module(path), inner)
    patch.setattr(owner, name, raising(error))


@pytest.mark.slow
@pytest.mark.usefixtures("source")
def test_every_exception_class_at_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    for number, error in enumerate(exceptions()):
        for place in places_of(error, number):
            with monkeypatch.context() as patch:
                patch.setattr(recall, "_KEPT", OrderedDict())  # as in a process that has captured nothing yet
                patched(place, error, patch)
                done = CliRunner().invoke(main, ["model.pt", "-f", "onnx", "-o", "m.onnx", "--no-check"])
            where = f"{type(error).__name__} at {place}"
            if place.endswith("verify_file"):
                assert done.exit_code == 0
                os.remove("m.onnx")
                continue
            assert done.exit_code in CODES, where
            lines = done.stderr.splitlines()
            assert len(lines) <= 1, where
            assert lines or done.exit_code == EXIT_BROKEN_PIPE, where
            assert not lines or lines[0].startswith("nalu-export: "), where
            if "cli" in place:  # what is said comes after the file
                os.remove("m.onnx")
            assert os.listdir() == ["model.pt"], where
            tried += 1
    assert tried > 100


SAID: dict[str, tuple[BaseException, int, str]] = {
    "a fault": (ValueError("a text\nof two lines"), 70, FAULT.format("ValueError: a text")),
    "a panic": (Panic("core"), 70, FAULT.format("Panic: core")),
    "no text": (KeyError(), 70, FAULT.format("KeyError")),
    "a text that fails": (Mute(), 70, FAULT.format("Mute")),
    "an exit": (SystemExit(0), 2, "the model's code ends the program: SystemExit: 0"),
    "an escape": (ValueError("\x1b[2J"), 70, FAULT.format(r"ValueError: \x1b[2J")),
    "a long text": (ValueError("x" * 5000), 70, FAULT.format("ValueError: " + "x" * 300)),
    "memory": (MemoryError(), 2, MEMORY),
    "memory of torch": (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, MEMORY),
    "memory of C++": (RuntimeError("std::bad_alloc"), 2, MEMORY),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted"),
}


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("case", SAID)
def test_what_is_said(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error, code, text = SAID[case]
    patched("nalu_export.api.export.encode_metadata", error, monkeypatch)
    done = CliRunner().invoke(main, ["model.pt", "-f", "onnx"])
    assert (done.exit_code, done.stderr, done.stdout) == (code, f"nalu-export: {text}\n", "")


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("place", [0, 1, 3])
def test_debug_shows_where(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    patched("nalu_export.api.export.encode_metadata", ValueError("x"), monkeypatch)
    words = ["model.pt", "-f", "onnx"]
    words.insert(place, "--debug")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == EXIT_INTERNAL
    assert done.stderr.startswith("Traceback (most recent call last):\n")
    assert done.stderr.splitlines()[-1].startswith("nalu-export: internal error")


def test_what_is_raised_while_words_are_read_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nalu_export.cli.budget.parse_size", raising(KeyError("a\x1b[2J")))
    done = CliRunner().invoke(main, ["model.pt", "-f", "onnx", "--max-memory", "1GiB"])
    said = FAULT.format("KeyError: 'a\\x1b[2J'")
    assert (done.exit_code, done.stderr) == (70, f"nalu-export: {said}\n")
    done = CliRunner().invoke(main, ["model.pt", "--debug", "-f", "onnx", "--max-memory", "1GiB"])
    assert done.exit_code == 70
    assert done.stderr.startswith("Traceback (most recent call last):\n")


def test_debug_behind_two_dashes_is_a_file() -> None:
    assert without_debug(["a", "--debug", "--", "--debug"]) == (["a", "--", "--debug"], True)
    assert without_debug(["--", "--debug"]) == (["--", "--debug"], False)


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--model sys:exit", "--model sys:exit: "),
        ("--model os:abort", "ended by SIGABRT in a library or a runtime; there is no verdict"),
        ("--model net.py:build", "--model net.py:build: "),
    ],
)
def test_a_factory_that_ends_the_program_decides_nothing(option: str, text: str, source: Path) -> None:
    Path("net.py").write_text("import os, sys\ndef build(): sys.exit(0)\n", encoding="utf-8")
    command = [sys.executable, "-m", "nalu_export", str(source), "-f", "onnx", *option.split()]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode in (2, 70)
    assert done.stderr.decode().startswith(f"nalu-export: {text}") or f": {text}" in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert sorted(os.listdir()) == ["model.pt", "net.py"] or "__pycache__" in os.listdir()


@pytest.mark.slow
def test_whoever_closes_the_output_gets_the_verdict(source: Path) -> None:
    """``nalu-export … | head -1`` under ``pipefail``."""
    command = f"set -o pipefail; {sys.executable} -m nalu_export inspect {source} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
