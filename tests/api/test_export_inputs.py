"""nalu_export.api.export: the inputs of a file: free and fixed sizes, and what the user says of them."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import nalu_export
from nalu_export import NALU, BackboneHead, InputError, RuntimeUnavailableError, build_head
from nalu_export.formats import FormatName
from tests.handwritten.nets import NETS


@pytest.mark.slow
def test_images_are_free_in_size_and_checked_at_several(image_model: BackboneHead, tmp_path: Path) -> None:
    artifact = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(12, 10))
    assert artifact.notes == ()
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, "height", "width"]
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    for size in [(12, 10), (30, 9)]:
        x = np.random.default_rng(0).uniform(0, 1, (2, 1, *size)).astype(np.float32)
        with torch.no_grad():
            np.testing.assert_allclose(
                session.run(None, {"input": x})[0], image_model(torch.from_numpy(x)), rtol=1e-4, atol=1e-5
            )


@pytest.mark.slow
def test_a_free_size_that_would_be_wrong_is_fixed_and_said(tmp_path: Path) -> None:
    """Adaptive pooling to k > 1 exports with free axes and is wrong at every other size; no exporter says so."""
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(3))
    model = build_head(backbone, 2, [3], "regression", 1).eval()
    artifact = nalu_export.export(model, tmp_path / "a.onnx", input_size=(9, 9))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 9, 9]
    assert artifact.notes[0].startswith("the image size is fixed at 9×9: at another size, ")
    assert artifact.report.passed


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("name", "size", "note"),
    [
        ("U-Net", (16, 16), "height a multiple of 4 and width a multiple of 4"),
        ("inline in a CNN", (12, 12), ""),
    ],
)
def test_which_sizes_of_images_a_model_takes_is_said(
    tmp_path: Path, name: str, size: tuple[int, int], note: str
) -> None:
    artifact = nalu_export.export(NETS[name].build(), tmp_path / "a.onnx", input_size=size)
    assert artifact.metadata["inputs"][0]["shape"][2:] == ["height", "width"]
    text = f"neither the model nor the file runs on images of every size: {note}"
    assert artifact.notes == ((text,) if note else ())


@pytest.mark.slow
def test_positions_that_are_learned_fix_the_size(tmp_path: Path) -> None:
    """A ViT adds one vector to each patch, so it runs where there are as many; 17 rows have as many as 16."""
    net = NETS["ViT"]
    artifact = nalu_export.export(net.build(), tmp_path / "a.onnx", input_size=net.shape[1:])
    text = "neither the model nor the file runs on images of every size: height 16 and width 16"
    assert artifact.notes == (text,)
    assert nalu_export.check(net.build(), artifact, samples=4, search=0, input_size=(16, 16)).passed
    with pytest.raises(InputError, match=r"does not run on 1×20×20 images \(.+\); give another input_size=\(H, W\)$"):
        nalu_export.export(net.build(), tmp_path / "b.onnx", input_size=(20, 20))
    assert not (tmp_path / "b.onnx").exists()


def test_what_layers_do_not_tell_is_told_by_an_example(tmp_path: Path) -> None:
    """Steps of a sequence: the example's number of them is the file's."""
    net = NETS["loop of three steps"]
    artifact = nalu_export.export(net.build(), tmp_path / "a.onnx", example_inputs=torch.zeros(2, *net.shape))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", *net.shape]
    assert artifact.notes == ("the batch is free; the other axes are fixed at 3×4",)
    report = nalu_export.check(net.build(), artifact, samples=4, search=0, example_inputs=torch.zeros(2, *net.shape))
    assert report.passed
    assert [port["shape"] for port in report.subject["inputs"]] == [["batch", 3, 4]]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"arithmetic": ["head"]}, InputError,
         r"^arithmetic is 'head', but the model runs no module of that path or class; it runs 'layers\.0', "
         r"'layers\.1'"),
        ({"arithmetic": [nn.Conv2d]}, InputError,
         r"^arithmetic is 'Conv2d', but the model runs no module of that path or class"),
        ({"example_inputs": torch.zeros(2, 4).int()}, InputError,
         r"^NALU\.forward\(x\) does not run on x int32 \(3, 4\): "),
        ({"example_inputs": torch.zeros(2, 4), "input_size": (8, 8)}, InputError,
         r"^input_size and example_inputs are both given; give one, because an example has the size of its images$"),
    ],
)  # fmt: skip
def test_what_a_model_takes_and_what_of_it_is_arithmetic_is_looked_at(
    nalu: NALU, tmp_path: Path, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nalu_export.export(nalu, tmp_path / "a.onnx", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_flattened_map_fixes_the_size(tmp_path: Path, name: FormatName) -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3))
    model = build_head(backbone, 2, [2], "regression", 1, pool=None, feature_size=(4, 4)).eval()
    artifact = nalu_export.export(model, tmp_path / "a", format=name, input_size=(6, 6))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 6, 6]
    assert "the image size is fixed at 6×6" in artifact.notes[0]
    with pytest.raises(InputError, match="flattens a feature map of 4×4; say which image size"):
        nalu_export.export(model, tmp_path / "a", format=name)


def test_a_header_of_what_is_behind_a_flattened_map_needs_its_size(tmp_path: Path) -> None:
    """To run the model once; what the header holds takes no images."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3), NALU(3, 1)).eval()
    with pytest.raises(InputError, match=r"input.size"):
        nalu_export.export(model, tmp_path / "a.hpp", format="cpp", check=False)
    assert not list(tmp_path.iterdir())
    artifact = nalu_export.export(model, tmp_path / "a.hpp", format="cpp", check=False, input_size=(6, 6))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 3]


@pytest.mark.slow
def test_without_a_runtime_an_unchecked_export_keeps_the_size_that_it_knows(
    image_model: BackboneHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> object:
        raise RuntimeUnavailableError("onnxruntime-cpu: onnxruntime is not installed")

    monkeypatch.setattr("nalu_export.runtimes.onnxruntime_cpu.import_onnxruntime", missing)
    artifact = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(8, 8), check=False)
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 8, 8]
    assert artifact.notes[0].endswith("other sizes could not be tried: onnxruntime-cpu: onnxruntime is not installed")
    with pytest.raises(RuntimeUnavailableError):
        nalu_export.export(image_model, tmp_path / "b.onnx", input_size=(8, 8))
    assert not (tmp_path / "b.onnx").exists()
