"""nalu_export.api.export: the whole way from a model to a checked file."""

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import nalu_export
from nalu_export import NAC, NALU, NALUCell, ParityError, formats
from nalu_export.api.artifact import read_artifact
from nalu_export.api.export import path_beside
from nalu_export.formats import FormatName
from nalu_export.graph.folding import WEIGHTS, Weights
from tests.api.sources import emit_something_else, sha
from tests.exported import exported
from tests.formats.programs import CHECKED


@pytest.mark.parametrize(("name", "suffix"), [("onnx", ".onnx"), ("torchscript", ".torchscript.pt")])
def test_a_file_becomes_a_checked_file_beside_it(source: Path, name: FormatName, suffix: str) -> None:
    before = sha(source)
    target = path_beside(source, name)
    artifact = nalu_export.export(source, target)
    assert artifact.path == target == source.with_name("model" + suffix)
    assert artifact.format == name
    assert target.read_bytes() == artifact.data
    assert artifact.report.passed
    assert {row.runtime for row in artifact.report.rows} == {"torch", formats.get(name).runtime}
    assert sha(source) == before
    assert {path.name for path in source.parent.iterdir()} == {"model.pt", "model" + suffix}


def test_metadata_says_what_it_is(source: Path) -> None:
    target = source.with_name("model.onnx")
    artifact = nalu_export.export(source, target, weights="live", compute="float64", seed=7)
    found = read_artifact(target).metadata
    assert found == artifact.metadata
    assert found["tool"] == f"nalu_export {nalu_export.__version__}"
    assert found["torch"] == torch.__version__
    assert found["source_sha256"] == sha(source)
    assert (found["weights"], found["compute"]) == ("live", "float64")
    assert [layer["path"] for layer in found["layers"]] == ["layers.0", "layers.1"]
    assert found["layers"][0]["eps"] == 1e-10
    assert found["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 4]}]
    assert found["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 2]}]
    assert found["parity"] == {"verdict": "passed", "runtime": "onnxruntime-cpu", "seed": 7}
    assert read_artifact(exported(source, check=False)).metadata["parity"] == {"verdict": "unchecked"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_the_same_source_gives_the_same_bytes_from_any_folder(source: Path, name: FormatName, tmp_path: Path) -> None:
    first = nalu_export.export(source, format=name).data
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    shutil.copy(source, elsewhere / "other name.pt")
    assert nalu_export.export(elsewhere / "other name.pt", format=name).data == first
    command = [sys.executable, "-m", "nalu_export", "../model.pt", "--format", name, "-o", "out", "-q"]
    subprocess.run(command, cwd=elsewhere, check=True)
    assert (elsewhere / "out").read_bytes() == first


def test_a_module_in_memory_is_a_source_too(nalu: NALU, tmp_path: Path) -> None:
    training = nalu.train()
    artifact = nalu_export.export(training, tmp_path / "a.onnx")
    assert training.training
    assert all(parameter.requires_grad for parameter in training.parameters())
    assert len(artifact.metadata["source_sha256"]) == 64


@pytest.mark.parametrize("name", CHECKED)
def test_without_a_path_the_artifact_is_in_memory_and_nothing_is_written(
    source: Path, name: FormatName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    artifact = nalu_export.export(source, format=name)
    assert (artifact.path, artifact.name, artifact.format) == (None, f"{name} in memory", name)
    assert artifact.report.passed
    assert artifact.data == nalu_export.export(source, tmp_path / "file", format=name).data
    report = nalu_export.check(source, artifact, samples=4, search=0)
    assert (report.passed, report.subject["artifact"]) == (True, f"{name} in memory")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file", "model.pt"]
    emit_something_else(monkeypatch, name)
    with pytest.raises(ParityError, match=rf"^{name} in memory, the check failed: {formats.get(name).runtime} on "):
        nalu_export.export(source, format=name)


@pytest.mark.parametrize(
    ("file", "told"),
    [("a.onnx", "onnx"), ("a.ONNX", "onnx"), ("a.hpp", "cpp"), ("a.h", "cpp"), ("a.torchscript.pt", "torchscript"),
     ("a.pt", "torchscript"), ("a.txt", "onnx"), ("a", "onnx"), (".onnx", "onnx")],
)  # fmt: skip
def test_the_suffix_says_the_format(nac: NAC, file: str, told: FormatName, tmp_path: Path) -> None:
    assert nalu_export.export(nac, tmp_path / file, check=False).format == told


@pytest.mark.parametrize("gate", ["matrix", "row"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("eps", [1e-12, 1e-2])
def test_every_kind_of_nalu_passes_its_check(tmp_path: Path, gate: str, tied: bool, eps: float) -> None:
    model = NALU(3, 4, 2, eps=eps, tied=tied, gate=gate)
    assert nalu_export.export(model, tmp_path / "a.onnx").report.passed


@pytest.mark.slow
def test_the_user_names_the_arithmetic(nac: NAC, nalu: NALU, tmp_path: Path) -> None:
    """What is not named is exported by torch.onnx, which deletes eps; the check sees where."""
    artifact = nalu_export.export(nac, tmp_path / "a.onnx", arithmetic=["layers.1"])
    assert artifact.report.passed
    assert [layer["path"] for layer in artifact.metadata["layers"]] == ["layers.1"]
    with pytest.raises(
        ParityError, match=r"distribution zeros: .* are NaN or infinite .*first divergence: layers\.1\.x\["
    ):
        nalu_export.export(nalu, tmp_path / "b.onnx", arithmetic=["layers.1"])
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.quick(1)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_in_float64_are_rounded_only_where_float32_computes(weights: Weights, tmp_path: Path) -> None:
    """Behind a CNN too; the float64 arithmetic has the weights of the model, not of its float32 copy."""
    head = NALU(3, 2).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.rand(parameter.shape, dtype=torch.float64))
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).double().eval()
    path = tmp_path / "a.onnx"
    artifact = nalu_export.export(model, path, weights=weights)
    assert "float64 weights are rounded to float32; compute='float64' keeps" in artifact.notes[0]
    assert not any("float64 are" in note for note in nalu_export.export(head, path, compute="float64").notes)
    nalu_export.export(head, path, weights=weights, compute="float64")
    assert nalu_export.check(head, path).passed
    rounded = copy.deepcopy(head).float().double()
    assert not nalu_export.check(rounded, path).passed


def test_export_and_check_agree(source: Path, nalu: NALU) -> None:
    target = source.with_name("model.onnx")
    artifact = nalu_export.export(source, target)
    report = nalu_export.check(source, target)
    assert report.passed
    assert [row.max_e for row in report.rows] == [
        row.max_e for row in artifact.report.rows if row.runtime == "onnxruntime-cpu"
    ]
    assert nalu_export.check(nalu, artifact, ["torch", "onnxruntime-cpu"]).passed


def test_a_single_cell_and_a_wide_one(tmp_path: Path) -> None:
    for cell in (NALUCell(1, 1), NALUCell(256, 8)):
        assert nalu_export.export(cell, tmp_path / "a.onnx").report.passed
