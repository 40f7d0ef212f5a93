"""Parity on a CUDA device. Each test is skipped, with the reason, wherever its runtime does not really run on one."""

import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell, build_head, check, export, formats, runtimes, save
from nalu_export.errors import EXIT_RUNTIME_MISSING, RuntimeUnavailableError
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.inputs.sizes import sweep
from nalu_export.nn.clamped_nalu import ClampedNALUCell
from nalu_export.nn.nac import NACCell
from nalu_export.nn.nac_exact import NACExactCell
from nalu_export.nn.sinh_nalu import SinhNALUCell
from nalu_export.parity import CheckOptions, CheckRequest, Report, check_bytes
from nalu_export.parity.check import profile_of
from nalu_export.parity.comparison import Tolerance, compare
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.primitives.precision import SINGLE
from nalu_export.runtimes._cuda_device import OVERRIDE
from nalu_export.runtimes._tf32 import tf32
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import expected_of, run_one
from tests.captured import graph_of
from tests.exported import exported
from tests.handwritten.sequences import Loop

pytestmark = pytest.mark.cuda

DEFAULT = EmitOptions()
ON_ONNX = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
ON_TORCH = ("torch-cuda", "torchscript-cuda")
MODELS: dict[str, Callable[[], nn.Module]] = {
    "NAC cell": lambda: NACCell(4, 3),
    "NAC": lambda: NAC(4, 3, 2),
    "NALU": lambda: NALU(4, 5, 2),
    "NALU, untied, row gate": lambda: NALU(4, 5, 2, tied=False, gate="row"),
    "NALU, untied": lambda: NALU(4, 5, 2, tied=False),
    "NALU, row gate": lambda: NALU(4, 5, 2, gate="row"),
    "NALU, small ε": lambda: NALU(4, 5, 2, eps=1e-30),
    "NALU, large ε": lambda: NALU(4, 5, 2, eps=1e-2),
    "cell": lambda: NALUCell(4, 8),
    "wide cell": lambda: NALUCell(256, 8),
    "sinh": lambda: SinhNALUCell(4, 3),
    "clamped": lambda: ClampedNALUCell(4, 3),
    "exact NAC": lambda: NACExactCell(4, 3),
}
# Images whose size is free: what becomes of shapes in a file.
SIZES: dict[str, Callable[[], nn.Module]] = {
    "flatten": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), NALU(4, 2)),
    "view": lambda: _Viewed(),
    "pool to 2": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(1), NALU(16, 2)),
    "no pool": lambda: build_head(nn.Conv2d(3, 4, 3), 4, [4], "regression", 1, pool=None, feature_size=(30, 30)),
}


class _Viewed(nn.Module):
    """A shape that is computed from that of the input, with two free axes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = NALU(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        found: Tensor = self.head(features.view(features.size(0), 4, -1).mean(2))
        return found


def _data(name: str, graph: ModelGraph, options: EmitOptions = DEFAULT) -> bytes:
    wanted = runtimes.get(name).format
    return formats.get(wanted).emit(graph, options).to_bytes({}) if wanted else b""


def _load(name: str, model: nn.Module, *, tf32: bool = False) -> Session:
    try:
        graph = graph_of(model)
        return runtimes.get(name).load(graph.called(model), _data(name, graph), RunOptions(tf32=tf32))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def _off(name: str, session: Session, model: nn.Module, x: np.ndarray[Any, Any]) -> float:
    """Largest error of a batch over what a correct evaluation may be off by."""
    profile = profile_of(runtimes.get(name), session, "float32")
    expected = expected_of(Reference(graph_of(model)), x, [profile])[profile]
    found = compare(run_one(session, x), expected, Tolerance())
    assert found.problem == ""
    return found.max_ratio


def _check(
    name: str,
    model: nn.Module,
    options: EmitOptions = DEFAULT,
    *,
    tf32: bool = False,
    shape: tuple[int, ...] | None = None,
) -> Report:
    """The verdict of the default bound; the runtime is tried first, so that a machine without it skips."""
    _load(name, NAC(1, 1))
    graph = graph_of(model, shape)
    (shape,) = graph.sizes
    sizes = sweep(graph) if graph.interface.free else [graph.sizes]
    # Less than the default, because these are many; benchmarks/cuda.py checks with more.
    wanted = CheckOptions(samples=256 if len(shape) == 1 else None, search=6, tf32=tf32)
    return check_bytes(CheckRequest(graph, _data(name, graph, options), sizes, options.compute, [name], wanted))


@pytest.mark.quick(40)
@pytest.mark.parametrize("name", [*ON_ONNX, "torchscript-cuda"])
@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_every_layer_and_mode(name: str, model: Callable[[], nn.Module], weights: Weights, compute: Compute) -> None:
    made = model()
    report = _check(name, made, EmitOptions(weights, compute))
    assert report.passed, report.summary()


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_eager_torch(model: Callable[[], nn.Module]) -> None:
    made = model()
    report = _check("torch-cuda", made)
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
def test_images_of_every_size(name: str, weights: Weights, compute: Compute, image_model: BackboneHead) -> None:
    report = _check(name, image_model, EmitOptions(weights, compute))
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", ON_ONNX)
@pytest.mark.parametrize("model", SIZES.values(), ids=SIZES)
def test_shapes_do_not_keep_a_file_from_the_device(name: str, model: Callable[[], nn.Module], tmp_path: Path) -> None:
    _load(name, NAC(1, 1))
    made = model()
    artifact = export(made, tmp_path / "model.onnx", check=False)
    report = check(made, artifact, name, search=2)
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", [*ON_ONNX[:2], *ON_TORCH])
def test_a_loop(name: str) -> None:
    """A CUDA graph holds none that is not written out."""
    report = _check(name, Loop(), shape=(5, 4))
    assert report.passed, report.summary()


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_every_batch_size(name: str) -> None:
    model = NALU(4, 5, 2)
    session = _load(name, model)
    for batch in (0, 1, 5, 1, 1024, 5):
        x = np.random.default_rng(batch).uniform(0, 2, (batch, 4)).astype(np.float32)
        assert run_one(session, x).shape == (batch, 2)
        assert batch == 0 or _off(name, session, model, x) <= 1.0


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_it_says_which_device(name: str) -> None:
    session = _load(name, NALU(4, 5, 2))
    details = session.details
    assert details["device"] not in ("", "CPU", "unknown")
    assert details["driver"] != "unknown"
    assert details["device"] in session.where
    assert "TF32 off" in session.where
    assert "CUDA" in session.where
    wanted = "use_tf32=0" if name in ON_ONNX else "matmul.allow_tf32=0"
    assert wanted in details["options"].split(", ")


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_tf32_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default bound passes a runtime with TF32 off and fails the same with it on; the one widened for it passes.

    For a matrix product of sizes for which cuBLAS takes TF32: large, and multiples of 8. Sums of 64 terms, because a
    sum of many in whatever order may be as far off as TF32 makes it.
    """
    model = NALUCell(64, 512)
    off = _check(name, model)
    assert off.passed, off.summary()
    assert "TF32 off" in off.runtimes[0].where
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this device has no TF32: it came with compute capability 8.0")
    if OVERRIDE in os.environ:
        pytest.skip(f"{OVERRIDE} decides about TF32 here, whatever a program asks for")

    allowed = _check(name, model, tf32=True)
    assert allowed.passed, allowed.summary()
    assert "TF32 on" in allowed.runtimes[0].where

    # A runtime that uses it though nobody asked, as ONNX Runtime's provider does by default.
    runtime = runtimes.get(name)
    load = runtime.load
    monkeypatch.setattr(runtime, "load", lambda model, data, run: load(model, data, replace(run, tf32=True)))
    on = _check(name, model)
    assert "TF32 on" in on.runtimes[0].where
    if on.passed and not _takes_tf32():
        pytest.skip("cuBLAS takes no TF32 for products of 256×64×512 on this device, though it is allowed to")
    assert not on.passed
    assert max(row.max_ratio for row in on.rows if not row.passed) > 1


def _takes_tf32() -> bool:
    """Whether a product of this size loses bits where it may; known where torch sees the device."""
    if not torch.cuda.is_available():
        return True
    left, right = (torch.rand(sizes, device="cuda") for sizes in ((256, 64), (64, 512)))
    with tf32(True):
        product = left @ right
    exact = left.double() @ right.double()
    return bool(((product - exact).abs() / exact).max() > 2.0**-16)


def test_torch_is_left_as_it_was() -> None:
    session = _load("torch-cuda", nn.Linear(64, 64))
    before = torch.get_float32_matmul_precision()
    x = np.random.default_rng(0).uniform(-1, 1, (64, 64)).astype(np.float32)
    torch.set_float32_matmul_precision("high")
    try:
        inside = run_one(session, x)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(run_one(session, x), inside)


@pytest.mark.parametrize("name", ON_ONNX)
def test_it_can_be_looked_into(name: str) -> None:
    session = _load(name, NALU(4, 5, 2))
    x = np.random.default_rng(0).uniform(-3, 3, (5, 4)).astype(np.float32)
    seen = session.values([x], ["layers.0.abs", "layers.0.W", "layers.0.a"])
    np.testing.assert_array_equal(seen["layers.0.abs"], np.abs(x))
    weight, exact = seen["layers.0.W"].astype(np.float64), x.astype(np.float64)
    allowed = 6 * SINGLE * (np.abs(exact) @ np.abs(weight).T)
    assert bool((np.abs(seen["layers.0.a"].astype(np.float64) - exact @ weight.T) <= allowed).all())


@pytest.mark.parametrize("name", [*ON_ONNX, "torchscript-cuda"])
@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
def test_values_inside_are_compared(name: str, weights: Weights, compute: Compute) -> None:
    report = _check(name, NALU(4, 5, 2), EmitOptions(weights, compute))
    inside = [row for row in report.rows if row.distribution == INTERMEDIATE]
    assert len(inside) == 1
    assert inside[0].outputs > 0
    assert inside[0].max_ratio <= 1


@pytest.mark.parametrize("name", ON_ONNX)
def test_other_batches_in_between(name: str) -> None:
    """Bound buffers and replayed graphs take each batch's own numbers, and leave the caller's alone."""
    model = NALU(16, 32, 4)
    session = _load(name, model)
    draw = np.random.default_rng(0)
    for batch in (8, 3, 8, 8, 0, 3, 64, 8):
        x = draw.uniform(-3, 3, (batch, 16)).astype(np.float32)
        kept = x.copy()
        assert run_one(session, x).shape == (batch, 4)
        assert batch == 0 or _off(name, session, model, x) <= 1.0
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_a_second_thread(name: str) -> None:
    model = NALU(16, 32, 4)
    session = _load(name, model)
    x = np.random.default_rng(0).uniform(-3, 3, (8, 16)).astype(np.float32)
    found: list[float] = []
    for _ in range(2):
        run_one(session, x)
        thread = threading.Thread(target=lambda: found.append(_off(name, session, model, x)))
        thread.start()
        thread.join()
    assert len(found) == 2
    assert max(found) <= 1.0


@pytest.mark.parametrize("name", ON_ONNX)
def test_a_node_that_cuda_does_not_have_is_an_error(name: str) -> None:
    """A model with a Det: there is no CUDA kernel, and no fallback is allowed."""
    from onnx import TensorProto, helper

    _load(name, NAC(1, 1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "g", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(RuntimeUnavailableError, match=r"has no kernel: Det \(float\)|cannot run on CUDAExecution"):
        runtimes.get(name).load(NAC(1, 1), proto.SerializeToString(), RunOptions())


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_a_device_that_is_hidden_is_an_error(name: str, tmp_path: Path) -> None:
    """The same check, in a process that sees no device, does not fall back to the CPU."""
    model = NALU(4, 5, 2)
    _load(name, model)
    source = tmp_path / "model.pt"
    save(model, source)
    artifact = exported(source, runtimes.get(name).format or "onnx", check=False)  # type: ignore[arg-type]
    command = [sys.executable, "-m", "nalu_export", "check", str(source), str(artifact), "--runtime", name]
    command += ["--samples", "8", "--search", "0"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=hidden, capture_output=True, text=True)
    assert done.returncode == EXIT_RUNTIME_MISSING
    assert name in done.stderr
