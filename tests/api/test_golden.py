"""Golden files: what is in them, and that a reader of them accepts what a check accepts."""

import errno
import hashlib
import math
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import nalu_export
from nalu_export import NALU, BackboneHead, InputError, NACCell, NALUCell, save, write_golden
from nalu_export.api.golden import read_golden
from nalu_export.graph.folding import Compute
from nalu_export.parity.acceptance import acceptance
from nalu_export.parity.batch import Batch
from nalu_export.parity.check import calibration
from nalu_export.parity.comparison import Tolerance, compare
from nalu_export.parity.inputs import DISTRIBUTIONS, draw
from nalu_export.parity.reference import Expected, Reference
from nalu_export.parity.verdict import Status
from nalu_export.primitives.precision import Profile
from tests.captured import graph_of
from tests.goldens import same

MAX = float(np.finfo(np.float32).max)
HEAD = 8 + 4 + 4 + 64


@pytest.fixture
def overflowing() -> NALUCell:
    """A cell whose product of six inputs leaves float32 for the largest of them."""
    cell = NALUCell(6, 2)
    with torch.no_grad():
        cell.W_hat.fill_(20.0)
        cell.W_hat[1].fill_(-20.0)
        cell.M_hat.fill_(20.0)
        cell.G.fill_(0.1)
    return cell


class Bessel(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.special.i0e(x)
        return y


class TestUndetermined:
    def test_it_says_how_many_outputs_any_program_gets_right(self, overflowing: NALUCell, tmp_path: Path) -> None:
        difference = NACCell(2, 1)
        with torch.no_grad():
            overflowing.W_hat.fill_(20.0)
            overflowing.G.fill_(0.0)
            difference.W_hat.copy_(torch.tensor([[20.0, -20.0]]))
            difference.M_hat.fill_(20.0)
        found = write_golden(torch.nn.Sequential(overflowing, difference), tmp_path / "golden.bin")
        (output,) = found.golden.outputs
        count = int(np.isinf(output.bound).sum())
        assert 0 < count < output.bound.size
        assert found.notes == (f"float32 does not determine {count} of the 384 outputs",)

    def test_a_file_that_any_program_would_pass_is_not_written(self, overflowing: NALUCell, tmp_path: Path) -> None:
        """Both products leave float32 for every input, and their difference is not a number."""
        large, difference = torch.nn.Linear(6, 6), NACCell(2, 1)
        with torch.no_grad():
            large.weight.zero_()
            large.bias.fill_(1e30)
            overflowing.W_hat.fill_(20.0)
            overflowing.G.fill_(0.0)
            difference.W_hat.copy_(torch.tensor([[20.0, -20.0]]))
            difference.M_hat.fill_(20.0)
        with pytest.raises(InputError) as caught:
            write_golden(torch.nn.Sequential(large, overflowing, difference), tmp_path / "golden.bin")
        assert str(caught.value) == (
            "float32 determines none of the 384 outputs for these inputs, so that any program would pass; give another "
            "input_size, the part alone, or compute='float64'"
        )
        assert not list(tmp_path.iterdir())


class TestWhatIsInThem:
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_every_distribution_with_its_expectation(self, nalu: NALU, compute: Compute, tmp_path: Path) -> None:
        golden = write_golden(nalu, tmp_path / "golden.npz", compute=compute, samples=5, seed=3).golden
        (given,), (output,) = golden.inputs, golden.outputs
        assert (given.name, output.name, output.shared) == ("input", "output", False)
        profile = Profile(compute)
        graph = graph_of(nalu)
        batch = Batch.joined([found.x for found in draw(graph.interface.inputs, [graph.sizes], 5, 3)])
        (x,) = batch.arrays
        assert golden.samples == 5 * len(DISTRIBUTIONS)
        np.testing.assert_array_equal(given.values, x)
        (expected,) = Reference(graph)(batch, [profile])[profile]
        # In one batch a matrix product may be rounded otherwise.
        exact = nalu.double()(*batch.tensors(double=True)).detach()
        np.testing.assert_allclose(output.reference, exact, rtol=1e-12)
        np.testing.assert_allclose(output.bound, expected.bound, rtol=1e-6)
        np.testing.assert_allclose(output.unit, expected.unit, rtol=1e-6)
        np.testing.assert_allclose(output.torch, expected.torch.astype(np.float32), rtol=1e-5)
        assert golden.compute == compute
        assert not output.accept.any()

    def test_float64_has_tighter_bounds(self, nalu: NALU, tmp_path: Path) -> None:
        single, double = (
            write_golden(nalu, tmp_path / "golden.bin", compute=compute, samples=2).golden.outputs[0]
            for compute in ("float32", "float64")
        )
        assert (double.bound < single.bound).mean() > 0.9

    def test_outputs_that_overflow(self, overflowing: NALUCell, tmp_path: Path) -> None:
        """float32 may lose them, and then whatever is not finite passes, but not any number; float64 may not."""
        single = write_golden(overflowing, tmp_path / "golden.bin").golden.outputs[0]
        double = write_golden(overflowing, tmp_path / "golden.bin", compute="float64").golden.outputs[0]
        assert {*np.unique(single.accept)} == {0, 4}
        assert {*np.unique(double.accept)} == {0, 2}
        assert np.isfinite(single.bound[single.accept == 4]).all()
        np.testing.assert_array_equal(double.accept == 2, double.reference > MAX)

    def test_the_number_of_samples(self, nalu: NALU, image_model: BackboneHead, tmp_path: Path) -> None:
        assert write_golden(nalu, tmp_path / "golden.bin").golden.samples == 32 * len(DISTRIBUTIONS)
        images = write_golden(image_model, tmp_path / "golden.bin", input_size=(8, 6)).golden
        assert images.inputs[0].values.shape == (4 * len(DISTRIBUTIONS), 1, 8, 6)
        assert images.outputs[0].reference.shape == (4 * len(DISTRIBUTIONS), 3)

    def test_images_have_the_bounds_of_a_check(self, image_model: BackboneHead, tmp_path: Path) -> None:
        """What no rule bounds is measured, on the inputs on which a check measures it."""
        image_model.backbone = torch.nn.Sequential(image_model.backbone, Bessel())
        golden = write_golden(image_model, tmp_path / "golden.bin", input_size=(8, 6), samples=2).golden.outputs[0]
        graph = graph_of(image_model, (1, 8, 6))
        shape = graph.interface.inputs, [graph.sizes]
        inputs = [drawn.x for drawn in draw(*shape, 2, 0)]
        measured, unmeasured = (
            np.concatenate([reference(x, [Profile()])[Profile()][0].bound for x in inputs])
            for reference in (Reference(graph, calibration(*shape)), Reference(graph))
        )
        np.testing.assert_allclose(golden.bound, measured, rtol=1e-9)
        assert (golden.bound != unmeasured).any()

    def test_a_part_alone(self, image_model: BackboneHead, tmp_path: Path) -> None:
        whole = write_golden(image_model, tmp_path / "whole.bin", samples=1).golden
        part = write_golden(image_model, tmp_path / "head.bin", part="head", samples=3).golden
        alone = write_golden(image_model.head, tmp_path / "alone.bin", samples=3).golden
        assert part.inputs[0].values.shape[1:] == alone.inputs[0].values.shape[1:]
        assert part.source_sha256 == whole.source_sha256 != alone.source_sha256
        assert same(replace(part, source_sha256=alone.source_sha256), alone)

    def test_what_it_is_from(self, nalu: NALU, tmp_path: Path) -> None:
        """The hash is that of an export's metadata, for a file and for a module."""
        source = tmp_path / "model.pt"
        save(nalu.half(), source)
        found = write_golden(source, tmp_path / "golden.bin", samples=1)
        assert found.golden.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        assert found.notes == ("weights in float16 were converted to float32",)
        artifact = nalu_export.export(nalu, tmp_path / "model.onnx", check=False)
        module = write_golden(nalu, tmp_path / "golden.bin", samples=1).golden
        assert module.source_sha256 == artifact.metadata["source_sha256"]

    def test_outputs_of_which_nothing_is_known(self, tmp_path: Path) -> None:
        """The product of sixty inputs leaves float64 as well."""
        cell = NALUCell(60, 1)
        with torch.no_grad():
            cell.W_hat.fill_(20.0)
            cell.M_hat.fill_(20.0)
            cell.G.fill_(0.0)
        golden = write_golden(cell, tmp_path / "golden.bin", samples=8).golden.outputs[0]
        assert np.isinf(golden.reference).any()
        assert np.isinf(golden.bound[np.isinf(golden.reference)]).all()
        assert {*np.unique(golden.accept[np.isinf(golden.bound)])} == {4}

    def test_one_thread_computes_it(self, nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        threads = []

        class Spy(Reference):
            def __call__(self, *args: Any, **kwargs: Any) -> Any:
                threads.append(torch.get_num_threads())
                return super().__call__(*args, **kwargs)

        monkeypatch.setattr("nalu_export.api.golden.Reference", Spy)
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            write_golden(nalu, tmp_path / "golden.bin", samples=1)
        finally:
            torch.set_num_threads(before)
        assert threads == [1] * len(DISTRIBUTIONS)

    @pytest.mark.parametrize("suffix", [".bin", ".npz"])
    def test_same_source_same_bytes(self, nalu: NALU, suffix: str, tmp_path: Path) -> None:
        first = write_golden(nalu, tmp_path / f"1{suffix}", samples=3).path.read_bytes()
        assert write_golden(nalu, tmp_path / f"2{suffix}", samples=3).path.read_bytes() == first
        assert write_golden(nalu, tmp_path / f"3{suffix}", samples=3, seed=1).path.read_bytes() != first


VALUES = st.sampled_from([0.0, 1.0, -1.0, MAX, -MAX, MAX * (1 + 2.0**-25), -MAX * (1 + 2.0**-24), 1e40, -1e300])
REFERENCES = VALUES | st.sampled_from([math.nan, math.inf, -math.inf]) | st.floats()
BOUNDS = st.sampled_from([0.0, 1e-7, 1.0, 2.0**103, 1e39, 1e40, math.inf]) | st.floats(min_value=0)
OUTPUTS = st.sampled_from([math.nan, math.inf, -math.inf, MAX, -MAX, 1.0, -0.0, 0.0]) | st.floats(width=32)
TORCHS = st.sampled_from([1.0, math.nan, math.inf])


def passes(out: float, reference: float, bound: float, accept: int) -> bool:
    """The rule of the description, as a program in another language has it."""
    if math.isfinite(out):
        return math.isinf(bound) or abs(out - reference) <= bound
    return accept in (4, 1 if math.isnan(out) else 2 if out > 0 else 3)


@pytest.mark.slow
@settings(max_examples=2000)
@given(REFERENCES, BOUNDS, OUTPUTS, TORCHS, st.integers(0, 2), st.sampled_from(["float32", "float64"]))
def test_a_golden_file_accepts_what_a_check_accepts(
    reference: float, bound: float, out: float, own: float, overflow: int, compute: Compute
) -> None:
    def numbers(value: float, dtype: Any = np.float64) -> NDArray[Any]:
        return np.array([[value]], dtype)

    expected = Expected(
        numbers(reference),
        numbers(bound),
        numbers(1.0),
        numbers(overflow, np.int8),
        numbers(0, np.int8),
        numbers(own, np.float32),
    )
    golden = acceptance(expected, compute)
    found = passes(out, reference, float(golden.bound[0, 0]), int(golden.kind[0, 0]))
    with np.errstate(over="ignore"):
        status = compare(numbers(out, np.float32), expected, Tolerance(compute)).status
    assert (status is not Status.FAILED) is found


@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_a_whole_file_accepts_what_a_check_accepts(overflowing: NALUCell, compute: Compute, tmp_path: Path) -> None:
    """Outputs at, and just beyond, their bounds, and of every kind."""
    found = read_golden(write_golden(overflowing, tmp_path / "golden.bin", compute=compute, samples=8).path)
    (given,), (golden,) = found.inputs, found.outputs
    (expected,) = Reference(graph_of(overflowing))(Batch.of(given.values), [Profile(compute)])[Profile(compute)]
    with np.errstate(over="ignore", invalid="ignore"):
        candidates = [
            (golden.reference + factor * golden.bound).astype(np.float32) for factor in (-1.01, -0.9, 0, 0.9, 1.01)
        ]
    candidates += [np.full_like(candidates[0], value) for value in (np.nan, np.inf, -np.inf, 0.5)]
    verdicts = set()
    for out in candidates:
        for index in np.ndindex(out.shape):
            one = tuple(slice(at, at + 1) for at in index)
            part = replace(
                Expected(*(getattr(expected, field.name)[one] for field in fields(Expected))),
                zero=np.zeros((1, 1), np.int8),
            )
            bound, accept = float(golden.bound[index]), int(golden.accept[index])
            right = passes(float(out[index]), float(golden.reference[index]), bound, accept)
            assert (compare(out[one], part, Tolerance(compute)).status is not Status.FAILED) is right
            verdicts.add((right, accept))
    assert len(verdicts) == 4  # both verdicts for each of the two kinds of outputs


def test_a_full_disk_leaves_the_old_file(nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_golden(nalu, tmp_path / "golden.bin", samples=1).path
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError) as caught:
        write_golden(nalu, path, samples=2)
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (before, [path])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"compute": "float16"}, "compute is 'float16'; allowed: 'float32', 'float64'"),
    ({"samples": 0}, "samples is 0; it must be from 1 to 4096"),
    ({"samples": 4097}, "samples is 4097; it must be from 1 to 4096"),
    ({"seed": -1}, "seed is -1; it must be from 0 to 4294967295"),
    (
        {"part": "head"},
        "part is 'head', which is not an arithmetic subgraph of the model; the only one is the model itself",
    ),
    ({"input_size": (4, 4)}, "input_size is given, but the model takes 4 features, not images"),
    ({"eps": 1.0}, "eps is for reading files, but the source is a module in memory; leave it out"),
]


@pytest.mark.parametrize(("options", "text"), REFUSED, ids=[next(iter(options)) for options, _ in REFUSED])
def test_options_that_are_refused(options: dict[str, Any], text: str, nalu: NALU, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_golden(nalu, tmp_path / "golden.bin", **options)
    assert str(caught.value) == text
    assert list(tmp_path.iterdir()) == []


def test_an_option_that_is_none(nalu: NALU, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^write_golden takes no argument 'wrong'; it takes model, .*seed"):
        write_golden(nalu, tmp_path / "golden.bin", wrong=1)  # type: ignore[call-arg]


def test_a_part_that_is_not_there(image_model: BackboneHead, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_golden(image_model, tmp_path / "golden.bin", part="hea\nd")
    what = "which is not an arithmetic subgraph of the model; expected one of 'head'"
    assert str(caught.value) == rf"part is 'hea\nd', {what}"
    # The path of the model itself is the empty one.
    golden = write_golden(image_model.head, tmp_path / "golden.bin", part="", samples=1).golden
    assert golden.inputs[0].values.shape == (12, 6)


def test_more_than_is_sensible_is_refused_before_it_is_made(image_model: BackboneHead, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_golden(image_model, tmp_path / "golden.bin", samples=4096, input_size=(64, 64))
    text = "samples is 4096: the inputs have 201,326,592 numbers in total; at most 134,217,728 are allowed"
    assert str(caught.value) == text
