"""nalu_export.checking: later checks of a file, also of a file that somebody else made."""

from pathlib import Path

import onnx
import pytest
import torch

import nalu_export
from nalu_export import NALU, BackboneHead, InputError
from nalu_export.artifact import read_artifact


@pytest.fixture
def pair(tmp_path: Path, nalu: NALU) -> tuple[Path, Path]:
    nalu_export.save(nalu, tmp_path / "model.pt")
    return tmp_path / "model.pt", nalu_export.export(tmp_path / "model.pt").path


def test_a_right_file_passes(pair: tuple[Path, Path]) -> None:
    report = nalu_export.check(*pair, samples=64)
    assert report.passed
    assert list(report.where) == ["onnxruntime-cpu"]


def test_another_model_fails(pair: tuple[Path, Path]) -> None:
    torch.manual_seed(5)
    assert not nalu_export.check(NALU(4, 5, 2), pair[1], samples=64).passed


def test_the_float64_limit_comes_from_the_file(tmp_path: Path, nalu: NALU) -> None:
    artifact = nalu_export.export(nalu, tmp_path / "a.onnx", compute="float64")
    assert {row.limit for row in nalu_export.check(nalu, artifact.path, samples=8).rows} == {1.0}
    artifact = nalu_export.export(nalu, tmp_path / "a.onnx")
    assert {row.limit for row in nalu_export.check(nalu, artifact.path, samples=8).rows} == {5 + 5**0.5 / 2}


def test_a_foreign_file_is_checked_as_float32(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    proto = onnx.load(pair[1])
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    assert read_artifact(tmp_path / "foreign.onnx").metadata == {}
    assert nalu_export.check(pair[0], tmp_path / "foreign.onnx", samples=64).passed


def test_images_are_checked_at_several_sizes_or_at_the_fixed_one(tmp_path: Path, image_model: BackboneHead) -> None:
    free = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(8, 8))
    assert nalu_export.check(image_model, free, input_size=(9, 14)).passed


def test_a_runtime_of_another_format_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"runtime torchscript runs torchscript, .*model\.onnx is onnx"):
        nalu_export.check(*pair, ["torchscript"])


def test_a_file_of_no_format_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"model\.pt: is not an exported file; expected onnx or torchscript"):
        nalu_export.check(pair[0], pair[0])


def test_an_unknown_option_is_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="check takes no such option"):
        nalu_export.check(*pair, sampels=3)


def test_metadata_that_lies_about_the_type_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    proto = onnx.load(pair[1])
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.compute":
            entry.value = "float8"
    onnx.save(proto, tmp_path / "odd.onnx")
    with pytest.raises(InputError, match="its metadata says compute 'float8'; expected float32 or float64"):
        nalu_export.check(pair[0], tmp_path / "odd.onnx")
