"""examples/digits_sum: real digits, honest labels, and a committed model that does what its README says."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from data import Digits, side_by_side, split
from evaluate import LENGTHS, main, predictors, results
from torch import Generator
from train import accuracy, augment, build_model, train

import nalu_export

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits_sum"
MODEL = EXAMPLE / "model.pt"


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed model, exported as `make demo` does it, with the check."""
    path = tmp_path_factory.mktemp("digits_sum") / "model.onnx"
    artifact = nalu_export.export(MODEL, path, input_size=(8, 24))
    assert artifact.report.passed
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, "height", "width"]
    return path


def test_the_split_is_fixed_and_disjoint() -> None:
    training, held_out = split()
    assert (len(training.labels), len(held_out.labels)) == (1437, 360)
    seen = {image.numpy().tobytes() for image in training.images}
    assert not [image for image in held_out.images if image.numpy().tobytes() in seen]
    assert 0.0 <= float(training.images.min()) < float(training.images.max()) <= 1.0
    # The figures in the README are of these digits; another generator behind the same seed would mix the parts.
    digest = hashlib.sha256(held_out.images.numpy().tobytes()).hexdigest()
    assert digest.startswith("09d7105524be1236")


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


def test_strips_use_every_digit_equally_often() -> None:
    digits = Digits(torch.zeros(6, 1, 8, 8), torch.arange(6))
    chosen = digits.choose(4, 3, Generator().manual_seed(0))
    assert torch.bincount(chosen.flatten()).tolist() == [2] * 6


def test_no_distortion_leaves_the_digits_as_they_are() -> None:
    images = split()[0].images[:7]
    torch.testing.assert_close(augment(images, 0.0, Generator()), images, rtol=0, atol=1e-5)
    assert not torch.allclose(augment(images, 1.0, Generator()), images, atol=0.1)


def test_training_learns() -> None:
    losses = train(build_model(), split()[0], 60, report=False)
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def test_the_model_is_data_and_reads_held_out_digits() -> None:
    model = nalu_export.load(MODEL)
    _, held_out = split()
    assert accuracy(model, held_out, 3, strips=600)[0] > 0.95
    assert accuracy(model, held_out, 20, strips=300)[0] > 0.7


@pytest.mark.slow
def test_the_exported_file_gives_the_same_sums(onnx: Path) -> None:
    run = predictors(MODEL, onnx, onnx.with_name("none"))
    _, held_out = split()
    for length in LENGTHS:
        found = results(run, held_out, length, 100)
        np.testing.assert_allclose(found["ONNX"], found["PyTorch"], rtol=1e-5, atol=1e-4)


@pytest.mark.slow
def test_the_command_prints_a_table_and_nothing_else(onnx: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE / "evaluate.py"), "--onnx", str(onnx), "--strips", "50"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "3 (trained)" in found.stdout


def test_a_missing_file_ends_in_the_command_that_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["evaluate.py", "--onnx", "model.onnx"])
    assert main() == 2
    options = "--format onnx --input-size 8 24 -o model.onnx"
    text = f"model.onnx is missing; make it with: nalu-export {MODEL} {options}\n"
    assert capsys.readouterr() == ("", text)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "model.onnx"
    damaged.write_bytes(b"not a model")
    with pytest.raises(nalu_export.InputError, match=r"model\.onnx cannot be read; make it again with: nalu-export"):
        predictors(MODEL, damaged, tmp_path / "none")


def test_a_file_of_another_model_is_refused(onnx: Path, tmp_path: Path) -> None:
    other = tmp_path / "model.pt"
    nalu_export.save(build_model(), other)
    with pytest.raises(nalu_export.InputError, match=r"was exported from another model\.pt; make it again with"):
        predictors(other, onnx, tmp_path / "none")
