"""``--model net.py:build``, and what a script pickled, through the commands that read a model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nalu_export.api.artifact import read_artifact
from nalu_export.cli.main import main

NET = """
import torch
from torch import nn
from nalu_export import NALU

class Net(nn.Module):
    def __init__(self, eps=1e-2):
        super().__init__()
        self.head = NALU(2, 3, eps=eps)
    def forward(self, x):
        return 2.0 * self.head(x)

def build():
    return Net(1e-3)

if __name__ == "__main__":
    torch.manual_seed(0)
    torch.save(build().state_dict(), "weights.pt")
    torch.save({"model": Net(), "epoch": 3}, "pickled.pt")
"""
NOTES = ["was loaded with --trust, which ran code in it", "the model was read from 'model'"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``net.py`` and what ``python net.py`` writes; the working directory is the folder above."""
    place = tmp_path / "code"
    place.mkdir()
    (place / "net.py").write_text(NET, encoding="utf-8")
    subprocess.run([sys.executable, "net.py"], cwd=place, check=True)
    monkeypatch.chdir(tmp_path)
    return Path("code")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_weights_with_the_function_that_builds_their_module(folder: Path) -> None:
    options = (folder / "weights.pt", "--model", f"{folder}/net.py:build")
    done = run("export", *options, "--format", "onnx", "-o", "model.onnx", "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    assert "0.001" in json.dumps(read_artifact("model.onnx").metadata["layers"])
    assert run("check", options[0], "model.onnx", *options[1:]).exit_code == 0
    assert run("check", options[0], "model.onnx", "--model", f"{folder}/net.py:Net").exit_code == 1


def test_a_pickle_of_a_script_with_its_classes(folder: Path) -> None:
    options = (folder / "pickled.pt", "--trust", "--model", folder / "net.py")
    done = run("export", *options, "--format", "onnx", "-o", "model.onnx")
    assert done.exit_code == 0
    assert all(f"note: {note}" in done.output for note in NOTES)
    assert "0.01" in json.dumps(read_artifact("model.onnx").metadata["layers"])
    assert run("check", options[0], "model.onnx", *options[1:]).exit_code == 0
    done = run("inspect", *options, "--json")
    assert json.loads(done.output)["notes"] == NOTES
    assert run("doctor", *options).exit_code in (0, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            ["--trust"],
            "cannot be loaded: it needs Net of the script that saved it; give that file with --model FILE.py",
        ),
        (["--trust", "--model", "code/none.py"], "--model code/none.py: there is no such file in "),
        (
            ["--trust", "--model", "code/net.py", "--eps", "1e-5"],
            "holds a module, which is used as it is; leave --eps out",
        ),
        (
            ["--trust", "--model", "code/net.py:build"],
            "holds a module, which is used as it is, and --model would build another one; leave --model out, "
            "or give the file alone: --model code/net.py",
        ),
    ],
)
def test_one_line_and_exit_code_2(options: list[str], text: str, folder: Path) -> None:
    for command in (["export", "--format", "onnx"], ["inspect"], ["doctor"]):
        done = run(*command, folder / "pickled.pt", *options)
        assert done.exit_code == 2
        assert done.output.startswith(f"nalu-export: code/pickled.pt: {text}")
        assert done.output.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == ["net.py", "pickled.pt", "weights.pt"]
