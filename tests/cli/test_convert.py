import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from nalu_export import load
from tests.cli.conftest import Run, assert_user_error, listing

FAUX = {f"model.0.{name}": torch.ones(2, 3) for name in ("W_hat", "M_hat", "W")}


@pytest.fixture
def faux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    torch.save(FAUX, "faux.pt")
    return Path("faux.pt")


def test_what_is_said(faux: Path, run: Run) -> None:
    result = run("convert", faux, "-o", "own.safetensors")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "note: layout kevinzakka:fauxNAC, which computes the same as nkarasovd:NAC, simkir00:NAC",
        "note: a faux NAC: the model computes with the stored weight, not with tanh(W_hat)·σ(M_hat)",
        "assumed: formula is that of kevinzakka:fauxNAC, recognised by the names and shapes of its tensors; the file "
        "does not store it",
        "assumed: orientation is 3 → 2, as kevinzakka stores it; transposed, its matrices would fit as well",
        f"written: own.safetensors, from the file with SHA-256 {hashlib.sha256(faux.read_bytes()).hexdigest()}",
    ]
    assert torch.equal(load("own.safetensors")(torch.eye(3)), torch.ones(3, 2))


def test_json(faux: Path, run: Run) -> None:
    found = json.loads(run("convert", faux, "--output", "own.pt", "--json").stdout)
    assert found["path"] == "own.pt"
    assert found["layout"] == "kevinzakka:fauxNAC"
    assert found["self_contained"] is True
    assert len(found["notes"]) == 2


def test_quiet(source: Path, run: Run) -> None:
    result = run("convert", source, "-o", "own.pt", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_strict(faux: Path, run: Run) -> None:
    result = run("convert", faux, "-o", "own.pt", "--strict")
    assert_user_error(
        result,
        2,
        "faux.pt: is a faux NAC: 'layers.0' computes with a stored W, not with tanh(W_hat)·σ(M_hat); "
        "without --strict it is exported as a linear layer",
    )
    assert listing() == ["faux.pt"]


def test_layers_of_the_user(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_layers.py").write_text(
        "import torch\nclass Own(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = torch.nn.Linear(2, 1)\n",
        encoding="utf-8",
    )
    torch.save({f"fc.{name}": value for name, value in nn.Linear(2, 1).state_dict().items()}, "model.pt")
    result = run("convert", "model.pt", "-o", "own.pt", "--model", "own_layers:Own")
    note = "note: the file contains weights only, because the model has layers of your own; read it with --model"
    assert note in result.stdout


@pytest.mark.parametrize("arguments", [[], ["-o"]])
def test_an_output_is_needed(arguments: list[str], source: Path, run: Run) -> None:
    result = run("convert", source, *arguments)
    assert result.exit_code == 2
    assert "-o" in result.stderr
