"""nalu_export.api.check: later checks of a file, also of a file that somebody else made."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import nalu_export
from nalu_export import NALU, BackboneHead, InputError
from nalu_export.api.artifact import read_artifact
from nalu_export.graph.folding import COMPUTE
from nalu_export.io.input_files import read_inputs
from tests.exported import exported


@pytest.fixture
def pair(tmp_path: Path, nalu: NALU) -> tuple[Path, Path]:
    nalu_export.save(nalu, tmp_path / "model.pt")
    return tmp_path / "model.pt", exported(tmp_path / "model.pt")


def test_a_right_file_passes(pair: tuple[Path, Path]) -> None:
    report = nalu_export.check(*pair, samples=64, search=2)
    assert report.passed
    assert [info.name for info in report.runtimes] == ["onnxruntime-cpu"]
    assert report.missing == {}


def test_a_report_says_what_was_checked(pair: tuple[Path, Path]) -> None:
    report = nalu_export.check(*pair, samples=4, search=0)
    subject = report.subject
    assert (subject["model"], subject["artifact"]) == (str(pair[0]), str(pair[1]))
    for name, path in (("model_sha256", pair[0]), ("artifact_sha256", pair[1])):
        assert subject[name] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (subject["format"], subject["weights"], subject["compute"]) == ("onnx", "folded", "float32")
    assert subject["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 4]}]
    assert subject["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 2]}]
    assert [layer["path"] for layer in subject["layers"]] == ["layers.0", "layers.1"]
    assert report.environment["torch"] == torch.__version__
    assert {name: sorted(matrices) for name, matrices in report.weights.items()} == {
        "layers.0": ["W", "gate G"],
        "layers.1": ["W", "gate G"],
    }
    assert report.weights["layers.0"]["W"].shape == (5, 4)
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_module_has_no_path_and_no_hash(pair: tuple[Path, Path], nalu: NALU) -> None:
    subject = nalu_export.check(nalu_export.load(pair[0]), pair[1], samples=4, search=0).subject
    assert (subject["model"], subject["model_sha256"]) == ("NALU", "")


def test_another_model_fails(pair: tuple[Path, Path]) -> None:
    torch.manual_seed(5)
    assert not nalu_export.check(NALU(4, 5, 2), pair[1], samples=64).passed


def test_the_precision_comes_from_the_file(tmp_path: Path, nalu: NALU) -> None:
    """What passes as float32 does not pass as float64."""
    bounds = {}
    x = np.full((1, 4), 2.5, np.float32)
    for compute in COMPUTE:
        artifact = nalu_export.export(nalu, tmp_path / f"{compute}.onnx", compute=compute)
        report = nalu_export.check(nalu, artifact, inputs={"own": x}, only_inputs=True)
        assert report.subject["compute"] == compute
        bounds[compute] = report.worst[0].bound
    assert (bounds["float64"] < bounds["float32"]).all()


def test_a_foreign_file_is_checked_as_float32(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    proto = onnx.load(pair[1])
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    assert read_artifact(tmp_path / "foreign.onnx").metadata == {}
    assert nalu_export.check(pair[0], tmp_path / "foreign.onnx", samples=64).passed


@pytest.mark.slow
def test_images_are_checked_at_several_sizes_or_at_the_fixed_one(tmp_path: Path, image_model: BackboneHead) -> None:
    free = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(8, 8))
    assert nalu_export.check(image_model, free, input_size=(9, 14)).passed


def test_a_runtime_of_another_format_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"runtime torchscript runs torchscript, .*model\.onnx is onnx"):
        nalu_export.check(*pair, ["torchscript"])


def test_a_file_of_no_format_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"model\.pt: is not an exported file; expected cpp, onnx or torchscript"):
        nalu_export.check(pair[0], pair[0])


def test_all_runs_what_is_there_and_lists_the_rest(pair: tuple[Path, Path]) -> None:
    report = nalu_export.check(*pair, "all", samples=8, search=0)
    ran = [info.name for info in report.runtimes]
    assert {"onnxruntime-cpu", "torch"} <= set(ran)
    assert "torchscript" not in {*ran, *report.missing}
    assert not set(ran) & set(report.missing)
    assert all("\n" not in reason and reason for reason in report.missing.values())


def test_a_runtime_named_twice_runs_once(pair: tuple[Path, Path]) -> None:
    report = nalu_export.check(*pair, ["torch", "onnxruntime-cpu", "torch"], samples=4, search=0)
    assert [info.name for info in report.runtimes] == ["torch", "onnxruntime-cpu"]


def test_inputs_of_the_user_s_own(pair: tuple[Path, Path]) -> None:
    inputs = {"whole numbers": np.arange(8).reshape(2, 4), "double": np.ones((3, 4))}
    report = nalu_export.check(*pair, inputs=inputs, only_inputs=True)
    rows = {row.distribution: row.samples for row in report.rows}
    assert (rows["whole numbers"], rows["double"]) == (2, 3)
    assert report.worst[0].inputs["input"].dtype == np.float32
    with pytest.raises(InputError, match=r"^inputs odd: the model does not run on samples of shape \(3,\): "):
        nalu_export.check(*pair, inputs={"odd": np.ones((2, 3))})


def test_a_worst_input_that_was_saved_is_replayed(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (worst,) = nalu_export.check(*pair, samples=32, search=2).worst
    np.savez(tmp_path / "worst.npz", worst=worst.inputs["input"][None])
    (again,) = nalu_export.check(*pair, inputs=read_inputs(tmp_path / "worst.npz"), only_inputs=True).worst
    assert again.ratio == pytest.approx(worst.ratio, rel=0.05)


def test_an_unknown_option_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"^check takes no argument 'sampels'; did you mean 'samples'\?$"):
        nalu_export.check(*pair, sampels=3)  # type: ignore[call-arg]


def test_metadata_that_lies_about_the_type_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    proto = onnx.load(pair[1])
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.compute":
            entry.value = "float8"
    onnx.save(proto, tmp_path / "odd.onnx")
    with pytest.raises(InputError, match="its metadata says compute 'float8'; expected float32 or float64"):
        nalu_export.check(pair[0], tmp_path / "odd.onnx")
