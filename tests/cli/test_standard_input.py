"""``-`` for the model: what comes on standard input; and a folder of weights in several files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nalu_export import NALU, load

STATE = NALU(2, 3, 1).state_dict()


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A checkpoint; the working directory is empty."""
    (tmp_path / "there").mkdir()
    torch.save(STATE, tmp_path / "model.pt")
    monkeypatch.chdir(tmp_path / "there")
    return (tmp_path / "model.pt").read_bytes()


def run(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nalu_export", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False)


@pytest.mark.slow
def test_every_command_that_reads_a_model(given: bytes) -> None:
    """The same file twice is read twice: once by each process."""
    done = run("-", "-f", "onnx", "-o", "m.onnx", "--no-check", "--json", data=given)
    assert done.returncode == 0
    assert done.stderr.startswith(b"nalu-export: assumed: formula is ")
    assert json.loads(done.stdout)["path"] == "m.onnx"
    for words in (
        ["check", "-", "m.onnx", "-q", "--strict", "--layout", "nalu-export", "--eps", "1e-10", "--search", "0"],
        ["golden", "-", "-o", "g.bin", "--samples", "1"],
        ["convert", "-", "-o", "own.pt"],
        ["inspect", "-"],
        ["doctor", "-"],
    ):
        done = run(*words, data=given)
        assert (done.returncode, done.stderr) == (0, b""), words
    assert torch.equal(load("own.pt").state_dict()["layers.0.G"], STATE["layers.0.G"])
    assert sorted(path.name for path in Path().iterdir()) == ["g.bin", "m.onnx", "own.pt"]


@pytest.mark.parametrize(
    ("words", "data", "text"),
    [
        (["-", "-f", "onnx"], b"x", "has no folder to write the file to; give its path with --output FILE"),
        (["inspect", "-"], b"", "is empty; expected a model.pt"),
        (
            ["doctor", "-"],
            b"<html>",
            "is an HTML page, perhaps the error page of a failed download; expected a model.pt",
        ),
        (["convert", "-", "-o", "x.pt"], b"PK", "is a truncated zip file; copy or download it again"),
    ],
    ids=["no output", "empty", "a page", "half"],
)
def test_refused(words: list[str], data: bytes, text: str, given: bytes) -> None:
    done = run(*words, data=data)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"nalu-export: standard input: {text}\n"
    assert not list(Path().iterdir())


def test_a_folder(given: bytes) -> None:
    keys = list(STATE)
    for number, half in enumerate((keys[:3], keys[3:]), 1):
        torch.save({key: STATE[key] for key in half}, f"w-0000{number}-of-00002.bin")
    listing = {key: f"w-0000{1 + (key in keys[3:])}-of-00002.bin" for key in keys}
    Path("w.bin.index.json").write_text(json.dumps({"weight_map": listing}), encoding="utf-8")
    done = run(".", "-f", "onnx", data=b"")
    assert (
        done.stderr.decode() == "nalu-export: .: is a directory without a name; say where to write with --output FILE\n"
    )
    done = run("../there", "-f", "onnx", "--no-check", data=b"")
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path("../there.onnx").exists()
    assert "note: joined from 2 files: w-00001-of-00002.bin, w-00002-of-00002.bin\n" in done.stdout.decode()
    done = run("inspect", ".", "--json", data=b"")
    assert json.loads(done.stdout)["layout"] == "nalu-export:NALU"
