"""Some malformed files through the real command: whatever libraries print below Python would show here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nalu_export import NAC, export, save
from tests.hostile.artifacts import ARTIFACTS
from tests.hostile.case import CHECK, INPUTS
from tests.hostile.descriptions import DESCRIPTIONS
from tests.hostile.inputs import INPUT_FILES
from tests.hostile.pickles import PICKLES
from tests.hostile.tensors import TENSORS
from tests.hostile.zips import ZIPS

CASES = {**ZIPS, **PICKLES, **TENSORS, **DESCRIPTIONS, **ARTIFACTS, **INPUT_FILES}
CHOSEN = (
    "runs a command",
    "runs a command, legacy",
    "a whole module",
    "a zip bomb",
    "a bit of a weight",
    "a name that runs a command",
    "safetensors, a header beyond the file",
    "quantised",
    "ONNX, a weight above its folder",
    "ONNX, a huge input",
    "TorchScript, a bit of a weight",
    "inputs, an array of objects",
)
# A cold process spends some 2 seconds importing torch, on a busy machine several times that.
SECONDS = 60


def begin(name: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start the command of a case in a folder of its own."""
    case = CASES[name]
    folder.mkdir()
    if case.commands in (CHECK, INPUTS) or case.commands[0] in CHECK:
        torch.manual_seed(0)
        model = NAC(2, 1)
        save(model, folder / "good.pt")
        export(model, folder / "good.onnx", check=False)
    (folder / case.file).write_bytes(case.make())
    command = [sys.executable, "-m", "nalu_export", *case.commands[0]]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )


def look(folder: Path) -> dict[Path, bytes]:
    """Every file in it."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("half", [CHOSEN[::2], CHOSEN[1::2]], ids=["one half", "other half"])
def test_refused_by_the_command(half: tuple[str, ...], tmp_path: Path) -> None:
    running = {name: begin(name, tmp_path / str(index)) for index, name in enumerate(half)}
    before = look(tmp_path)
    for name, process in running.items():
        out, err = process.communicate(timeout=SECONDS)
        assert (err.decode(), out, process.returncode) == (CASES[name].line, b"", 2), name
    assert look(tmp_path) == before
    assert not list(tmp_path.rglob("executed"))


def test_a_reader_has_no_children(tmp_path: Path) -> None:
    """wait() says that there never was a child process: none that runs, none that has ended."""
    (tmp_path / "model.pt").write_bytes(CASES["runs a command"].make())
    code = (
        "import os; from click.testing import CliRunner; from nalu_export.cli.main import main\n"
        "print(CliRunner().invoke(main, ['model.pt', '-f', 'onnx']).exit_code)\n"
        "try:\n    os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError:\n    print('none')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2\nnone\n"
    assert os.listdir(tmp_path) == ["model.pt"]
