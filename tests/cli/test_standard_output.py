"""``-o -``: the file goes to standard output, and what is said to stderr."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nalu_export import load
from nalu_export.api.artifact import read_artifact
from nalu_export.api.golden import read_golden

COMMANDS = {
    "m.onnx": ["export", "model.pt", "-f", "onnx", "--no-check"],
    "m.ts": ["export", "model.pt", "-f", "torchscript", "--no-check"],
    "own.pt": ["convert", "model.pt"],
    "g.bin": ["golden", "model.pt", "--samples", "1"],
}
READ: dict[str, Callable[[Path], Any]] = {"own.pt": load, "g.bin": read_golden}


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "nalu_export", *arguments], capture_output=True, check=False)


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_bytes_as_a_file_has(name: str) -> None:
    assert run(*COMMANDS[name], "-o", name, "-q").returncode == 0
    done = run(*COMMANDS[name], "-o", "-")
    assert (done.returncode, done.stdout) == (0, Path(name).read_bytes())
    assert done.stderr.decode().splitlines()[-1].startswith("written: standard output")
    assert sorted(os.listdir()) == sorted(["model.pt", name])
    READ.get(name, read_artifact)(Path(name))


@pytest.mark.usefixtures("source")
def test_nothing_comes_of_a_failed_check() -> None:
    code = (
        "from nalu_export.api import export as exporting; from nalu_export.cli.main import main\n"
        "from nalu_export.errors import ParityError\n"
        "def failed(*arguments, **named): raise ParityError('no')\n"
        "exporting.verify_file = failed\n"
        "main(['model.pt', '-f', 'onnx', '-o', '-'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"nalu-export: no\n")


@pytest.mark.usefixtures("source")
def test_json_and_a_file_do_not_go_to_the_same_place() -> None:
    done = run(*COMMANDS["m.onnx"], "-o", "-", "--json")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == (
        "nalu-export: --json and --output - both write to standard output; give one of them a file\n"
    )


@pytest.mark.usefixtures("source")
def test_a_terminal_gets_no_file() -> None:
    parent, child = pty.openpty()
    command = [sys.executable, "-m", "nalu_export", *COMMANDS["m.onnx"], "-o", "-"]
    done = subprocess.run(command, stdout=child, stderr=subprocess.PIPE, check=False)
    os.close(child)
    os.close(parent)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "nalu-export: standard output: is a terminal; redirect it to a file or pipe it to a program\n"
    )
