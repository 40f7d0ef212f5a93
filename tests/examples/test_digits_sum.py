"""examples/digits_sum: real digits, honest labels, and a committed model that does what its README says."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data import Digits, side_by_side, split
from evaluate import LENGTHS, predictors, results
from torch import Generator
from train import accuracy, augment, build_model, train

import nalu_export

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_sum"


def test_the_split_is_fixed_and_disjoint() -> None:
    training, held_out = split()
    assert (len(training.labels), len(held_out.labels)) == (1437, 360)
    seen = {image.numpy().tobytes() for image in training.images}
    assert not [image for image in held_out.images if image.numpy().tobytes() in seen]
    assert torch.equal(split()[1].images, held_out.images)
    assert 0.0 <= float(training.images.min()) < float(training.images.max()) <= 1.0


def test_a_strip_is_its_digits_side_by_side_and_their_sum() -> None:
    images = torch.arange(4 * 64, dtype=torch.float32).reshape(4, 1, 8, 8)
    digits = Digits(images, torch.tensor([1, 2, 3, 4]))
    strips, sums = digits.strips(5, 3, Generator().manual_seed(0))
    assert strips.shape == (5, 1, 8, 24)
    for strip, total in zip(strips, sums, strict=True):
        parts = [int(strip[0, 0, 8 * place]) // 64 for place in range(3)]
        assert int(total) == sum(part + 1 for part in parts)
        for place, part in enumerate(parts):
            assert torch.equal(strip[:, :, 8 * place : 8 * place + 8], images[part])
    assert side_by_side(images.reshape(2, 2, 1, 8, 8)).shape == (2, 1, 8, 16)


def test_no_distortion_leaves_the_digits_as_they_are() -> None:
    images = split()[0].images[:7]
    torch.testing.assert_close(augment(images, 0.0, Generator()), images, rtol=0, atol=1e-5)
    assert not torch.allclose(augment(images, 1.0, Generator()), images, atol=0.1)


def test_training_learns() -> None:
    torch.manual_seed(0)
    losses = train(build_model(), split()[0], 60, report=False)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_the_model_is_data_and_reads_held_out_digits() -> None:
    model = nalu_export.load(EXAMPLE / "model.pt")
    _, held_out = split()
    assert accuracy(model, held_out, 3, strips=500)[0] > 0.97
    assert accuracy(model, held_out, 20, strips=200)[0] > 0.88


def test_the_exported_file_gives_the_same_sums(tmp_path: Path) -> None:
    artifact = nalu_export.export(EXAMPLE / "model.pt", tmp_path / "model.onnx", input_size=(8, 24))
    assert artifact.report.passed
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, "height", "width"]
    run = predictors(EXAMPLE / "model.pt", artifact.path, tmp_path / "none")
    for length in LENGTHS:
        found = results(run, split()[1], length, 100)
        np.testing.assert_allclose(found["ONNX"], found["PyTorch"], rtol=1e-5, atol=1e-4)
        assert np.mean(np.round(found["ONNX"]) == found["true"]) > 0.85


@pytest.mark.parametrize("missing", [True, False])
def test_the_command(tmp_path: Path, missing: bool) -> None:
    if not missing:
        nalu_export.export(EXAMPLE / "model.pt", tmp_path / "model.onnx", input_size=(8, 24), check=False)
    command = [sys.executable, str(EXAMPLE / "evaluate.py"), "--onnx", "model.onnx", "--strips", "50"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if missing:
        assert found.returncode == 2
        assert found.stderr.startswith("model.onnx is missing; make it with: nalu-export examples/digits_sum/model.pt")
        assert found.stderr.count("\n") == 1
    else:
        assert (found.returncode, found.stderr) == (0, "")
        assert "20" in found.stdout
