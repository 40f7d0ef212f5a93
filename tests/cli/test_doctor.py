import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from torch import nn

from nalu_export import NALU, save
from nalu_export.doctor import diagnose
from tests.cli.conftest import Run, assert_user_error
from tests.doctor.cases import HEALTHY, nac, nalu, written

FAUX = {"model.0.W_hat": torch.zeros(1, 2), "model.0.M_hat": torch.zeros(1, 2), "model.0.W": torch.ones(1, 2)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def saved(model: nn.Module, run: Run, *arguments: object) -> Result:
    save(model, "model.pt")
    return run("doctor", "model.pt", *arguments)


def test_a_healthy_file(folder: Path, run: Run) -> None:
    result = saved(HEALTHY, run)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "nothing wrong found\n", "")


def test_a_file_with_remarks_only(folder: Path, run: Run) -> None:
    result = saved(nalu([[1.0, 1.0]], [[30.0, 30.0]]), run)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "info[gate-chosen] at (model)\n"
        "  On inputs of 0.1..1 and of 100..1000, the gate chooses the sum.\n"
        "  effect:  A trained gate looks like this.\n"
        "  remedy:  Nothing to do if this is the operation that the task needs.\n"
        "\n"
        "nothing wrong found; 1 remark\n"
    )


def test_warnings_do_not_fail(folder: Path, run: Run) -> None:
    result = saved(nac([[0.5]]), run)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "warning[far-weights] at layers.0"
    assert result.stdout.endswith("\n\n1 warning\n")


def test_an_error_fails(folder: Path, run: Run) -> None:
    written(FAUX, folder)
    result = run("doctor", "model.pt")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (
        "note: layout kevinzakka:fauxNAC, which computes the same as nkarasovd:NAC, simkir00:NAC\nnote: a faux NAC: "
        "the model computes with the stored weight, not with tanh(W_hat)·σ(M_hat)\nassumed: formula is that of "
        "kevinzakka:fauxNAC, recognised by the names and shapes of its tensors; the file does not store it\nassumed: "
        "orientation is 2 → 1, as kevinzakka stores it; transposed, its matrices would fit as "
        "well\n\nerror[faux-weights] at model.0.W\n  W is stored, and the model computes with it. "
        "tanh(W_hat)·σ(M_hat) is a different matrix: it differs by up to 1 (at [0, 0], 1 is stored and the raw "
        "parameters give 0).\n  effect:  A faux NAC: the model does not read W_hat and M_hat, so they cannot have "
        "been trained. Computing W from them gives different results.\n  remedy:  Export it as a linear layer with "
        "the stored W, or compute W in forward and train again.\n\n1 error\n"
    )


def test_what_follows_and_what_to_do_is_said_once_for_each_kind(folder: Path, run: Run) -> None:
    result = saved(NALU(8, 8, 8), run)
    lines = result.stdout.splitlines()
    kinds = [line for line in lines if line.startswith("warning[")]
    assert len(kinds) == 6
    # The figures of far weights are those of each layer.
    assert sum(line.startswith("  effect:") for line in lines) == 4
    assert sum(line.startswith("  remedy:") for line in lines) == 3


def test_json(folder: Path, run: Run) -> None:
    result = saved(nac([[0.5]]), run, "--json", "--compute", "float16", "--training-range", "1", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = diagnose("model.pt", compute="float16", training_range=(1.0, 2.0)).to_dict()
    assert json.loads(result.stdout) == json.loads(json.dumps(expected))
    assert set(expected) == {
        "path",
        "sha256",
        "layout",
        "compute",
        "inputs",
        "notes",
        "findings",
        "assumptions",
        "counts",
    }


def test_json_of_an_error(folder: Path, run: Run) -> None:
    written(FAUX, folder)
    result = run("doctor", "model.pt", "--json")
    assert (result.exit_code, json.loads(result.stdout)["counts"]["error"]) == (1, 1)


@pytest.mark.parametrize("broken", [False, True])
def test_quiet(broken: bool, folder: Path, run: Run) -> None:
    written(FAUX, folder) if broken else save(HEALTHY, "model.pt")
    result = run("doctor", "model.pt", "--quiet")
    assert (result.exit_code, result.stdout) == (int(broken), "")
    assert result.stderr.startswith("nalu-export: assumed: formula is that of kevinzakka:fauxNAC ") == broken


def test_the_type_of_the_arithmetic(folder: Path, run: Run) -> None:
    result = saved(nalu([[1.0, 1.0]], [[30.0, 30.0]]), run, "--compute", "float16")
    assert result.exit_code == 1
    assert "error[eps-lost] at (model)\n" in result.stdout


def test_strict(folder: Path, run: Run) -> None:
    written({"model.0.W": torch.ones(1, 2)}, folder)
    assert run("doctor", "model.pt").exit_code == 0
    assert run("doctor", "model.pt", "--strict").exit_code == 1


def test_how_the_file_is_read(folder: Path, run: Run) -> None:
    written({"head.W_hat": torch.ones(1, 2), "head.M_hat": torch.ones(1, 2), "head.W": torch.ones(1, 2)}, folder)
    result = run("doctor", "model.pt", "--prefix", "head.", "--layout", "goddoe")
    assert "note: layout goddoe:NAC\n" in result.stdout


def test_user_errors(folder: Path, run: Run) -> None:
    Path("text").write_text("text", encoding="utf-8")
    save(HEALTHY, "model.pt")
    text = "--training-range is 1 0.1; it must be two numbers within ±1e6, the smaller one first"
    assert_user_error(run("doctor", "model.pt", "--training-range", "1", "0.1"), 2, text)
    assert_user_error(run("doctor", "missing"), 2, "missing: cannot be read: No such file or directory")
    assert_user_error(run("doctor", "text", "--json"), 2, "text: is not a file of torch.save; expected a model.pt")


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--compute", "int8"], ["a", "--training-range", "1"]])
def test_wrong_usage(arguments: list[str], run: Run) -> None:
    result = run("doctor", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_names_from_a_file_are_shown_as_they_are(as_json: bool, folder: Path, run: Run) -> None:
    model: Any = nn.Module()
    model.add_module("[red]\x1b[31m\n:x:", nac([[0.5]]))
    torch.save(model.state_dict(), "model.pt")
    Path("own.py").write_text(
        "from tests.doctor.cases import nac\nfrom torch import nn\n"
        "def make():\n    model = nn.Module()\n    model.add_module('[red]\\x1b[31m\\n:x:', nac([[0.5]]))\n"
        "    return model\n",
        encoding="utf-8",
    )
    result = run("doctor", "model.pt", "--model", "own:make", *(["--json"] if as_json else []))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    if as_json:
        assert json.loads(result.stdout)["findings"][0]["where"] == "[red]\x1b[31m\n:x:.layers.0"
    else:
        assert "warning[far-weights] at [red]\\x1b[31m\\n:x:.layers.0\n" in result.stdout
