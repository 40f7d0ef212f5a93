"""The options of ``nalu-export export``."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from nalu_export import NALU, build_head, load, save
from nalu_export.api import export as exporting
from nalu_export.api.inspect import inspect
from nalu_export.checkpoints import read_checkpoint
from tests.cli.conftest import Run, assert_user_error, listing


def initializers(path: str) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}


@pytest.mark.parametrize("weights", ["folded", "live"])
@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_weights_and_compute(weights: str, compute: str, source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--weights", weights, "--compute", compute, "--no-check").exit_code == 0
    found = inspect("model.onnx")
    assert (found["weights_mode"], found["compute"]) == (weights, compute)
    held = initializers("model.onnx")
    assert ("layers.0.W_hat" in held) == (weights == "live")
    assert ("layers.0.W" in held) == (weights == "folded")
    if weights == "folded":
        assert held["layers.0.W"] == (onnx.TensorProto.FLOAT if compute == "float32" else onnx.TensorProto.DOUBLE)


@pytest.mark.parametrize("opset", [17, 20, 24])
def test_opset(opset: int, source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--opset", opset, "--no-check").exit_code == 0
    assert [entry.version for entry in onnx.load("model.onnx").opset_import] == [opset]


def test_seed(source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--seed", 7, "-q").exit_code == 0
    assert inspect("model.onnx")["parity"] == {"verdict": "passed", "runtime": "onnxruntime-cpu", "seed": 7}


def test_input_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = nn.Conv2d(1, 2, 3)
    save(build_head(backbone, 2, [3], "regression", 1, pool=None, feature_size=(2, 4)), "model.pt")
    result = run("model.pt", "-f", "torchscript", "--no-check")
    assert_user_error(
        result,
        2,
        "model.pt: the model flattens a feature map of 2×4; say which image size gives it with --input-size H W",
    )
    result = run("model.pt", "-f", "torchscript", "--input-size", 4, 6, "--no-check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "note: the image size is fixed at 4×6: the model does not run at another size" in result.stdout
    assert "input (batch, 1, 4, 6) → output (batch, 1)" in result.stdout


def test_no_check(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "verify_file", None)  # would raise
    result = run(source, "-f", "onnx", "--no-check")
    assert result.stdout.splitlines()[:2] == ["read: model.pt: 2 NALUCell", "not checked"]
    assert inspect("model.onnx")["parity"] == {"verdict": "unchecked"}


@pytest.mark.parametrize("options", [[], ["--no-check"]])
def test_quiet(options: list[str], source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "-q", *options)
    assert (result.exit_code, result.output) == (0, "")
    assert listing() == ["model.onnx", "model.pt"]


@pytest.mark.parametrize("check", [True, False])
def test_json(check: bool, source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "--json", *([] if check else ["--no-check"]))
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert list(found) == ["path", "format", "bytes", "notes", "metadata", "parity"]
    assert (found["path"], found["format"], found["notes"]) == ("model.onnx", "onnx", [])
    assert found["bytes"] == Path("model.onnx").stat().st_size
    assert found["metadata"]["source_sha256"] == read_checkpoint(source).sha256
    if check:
        assert found["parity"]["passed"] is True
        decides = {runtime["name"]: runtime["decisive"] for runtime in found["parity"]["runtimes"]}
        assert decides == {"torch": False, "onnxruntime-cpu": True}
    else:
        assert found["parity"] is None


def test_a_note_is_shown(source: Path, run: Run, model: nn.Module) -> None:
    torch.save(model.state_dict(), source)
    assert "note: layout nalu-export:NALU" in run(source, "-f", "onnx", "--no-check").stdout.splitlines()
    assert json.loads(run(source, "-f", "onnx", "--no-check", "--json").stdout)["notes"] == ["layout nalu-export:NALU"]


def test_a_factory(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("user_factory.py").write_text(
        "from nalu_export import NALU\nfrom torch import nn\n"
        "class Own(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = NALU(2, 1)\n"
        "    def forward(self, x):\n        return self.head(x)\n"
        "def factory():\n    return Own()\n",
        encoding="utf-8",
    )
    torch.save({f"head.{name}": value for name, value in NALU(2, 1).state_dict().items()}, source)
    result = run(source, "-f", "torchscript", "--model", "user_factory:factory")
    assert (result.exit_code, result.stderr) == (0, "")
    assert type(load(source, model="user_factory:factory")).__name__ == "Own"
