"""Parity on a CUDA device. Each test is skipped, with the reason, wherever its runtime does not really run on one."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell, export, formats, runtimes, save
from nalu_export.errors import EXIT_RUNTIME_MISSING, RuntimeUnavailableError
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.nn.nac import NACCell
from nalu_export.parity import CheckOptions, Report, check_bytes
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.runtimes.base import RunOptions, Session
from nalu_export.sizes import sweep
from nalu_export.weights import COMPUTE, WEIGHTS, Compute, Weights
from tests.alone import run_one
from tests.captured import graph_of

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
}


def _data(name: str, graph: ModelGraph, options: EmitOptions = DEFAULT) -> bytes:
    wanted = runtimes.get(name).format
    return formats.get(wanted).emit(graph, options).to_bytes({}) if wanted else b""


def _load(name: str, model: nn.Module, *, tf32: bool = False) -> Session:
    try:
        graph = graph_of(model)
        return runtimes.get(name).load(graph.called(model), _data(name, graph), RunOptions(tf32=tf32))
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def _check(name: str, model: nn.Module, options: EmitOptions = DEFAULT, *, tf32: bool = False) -> Report:
    """The verdict of the default bound; the runtime is tried first, so that a machine without it skips."""
    _load(name, NAC(1, 1))
    graph = graph_of(model)
    (shape,) = graph.sizes
    sizes = sweep(graph) if graph.interface.free else [graph.sizes]
    # Less than the default, because these are many; benchmarks/cuda.py checks with more.
    wanted = CheckOptions(samples=256 if len(shape) == 1 else None, search=6, tf32=tf32)
    return check_bytes(graph, _data(name, graph, options), sizes, options.compute, [name], wanted)


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


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_every_batch_size(name: str) -> None:
    model = NALU(4, 5, 2)
    session = _load(name, model)
    for batch in (0, 1, 5, 1, 1024, 5):
        x = np.random.default_rng(batch).uniform(0, 2, (batch, 4)).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(run_one(session, x).astype(np.float32), expected, rtol=1e-5)


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
    """The default bound passes a runtime with TF32 off and fails the same with it on; the one widened for it passes."""
    model = NALU(64, 64, 8)
    off = _check(name, model)
    assert off.passed, off.summary()
    assert "TF32 off" in off.runtimes[0].where
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this device has no TF32: it came with compute capability 8.0")

    allowed = _check(name, model, tf32=True)
    assert allowed.passed, allowed.summary()
    assert "TF32 on" in allowed.runtimes[0].where

    # A runtime that uses it though nobody asked, as ONNX Runtime's provider does by default.
    runtime = runtimes.get(name)
    load = runtime.load
    monkeypatch.setattr(runtime, "load", lambda model, data, run: load(model, data, replace(run, tf32=True)))
    on = _check(name, model)
    assert "TF32 on" in on.runtimes[0].where
    assert not on.passed
    assert max(row.max_ratio for row in on.rows if not row.passed) > 1


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
    weight = seen["layers.0.W"].astype(np.float64)
    np.testing.assert_allclose(seen["layers.0.a"].astype(np.float64), x @ weight.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [*ON_ONNX, "torchscript-cuda"])
@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
def test_values_inside_are_compared(name: str, weights: Weights, compute: Compute) -> None:
    report = _check(name, NALU(4, 5, 2), EmitOptions(weights, compute))
    inside = [row for row in report.rows if row.family == INTERMEDIATE]
    assert len(inside) == 1
    assert inside[0].outputs > 0
    assert inside[0].max_ratio <= 1


def test_binding_gives_what_the_plain_session_computes() -> None:
    model = NALU(16, 32, 4)
    plain = _load("onnxruntime-cuda", model)
    bound = _load("onnxruntime-cuda-binding", model)
    draw = np.random.default_rng(0)
    for batch in (8, 3, 64, 8):
        x = draw.uniform(-3, 3, (batch, 16)).astype(np.float32)
        kept = x.copy()
        np.testing.assert_allclose(
            run_one(bound, x).astype(np.float64), run_one(plain, x).astype(np.float64), rtol=1e-6
        )
        np.testing.assert_array_equal(x, kept)


def test_graphs_replay_what_the_plain_session_computes() -> None:
    model = NALU(16, 32, 4)
    plain = _load("onnxruntime-cuda", model)
    graph = _load("onnxruntime-cuda-graph", model)
    draw = np.random.default_rng(0)
    for batch in (8, 3, 8, 8, 3, 64, 8):
        x = draw.uniform(-3, 3, (batch, 16)).astype(np.float32)
        np.testing.assert_allclose(
            run_one(graph, x).astype(np.float64), run_one(plain, x).astype(np.float64), rtol=1e-6
        )


@pytest.mark.parametrize("name", ON_ONNX)
def test_a_node_that_cuda_does_not_have_is_an_error(name: str) -> None:
    """A model with a Det: there is no CUDA kernel, and no fallback is allowed."""
    from onnx import TensorProto, helper

    _load(name, NAC(1, 1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "g", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(RuntimeUnavailableError, match="cannot run on CUDAExecutionProvider"):
        runtimes.get(name).load(NAC(1, 1), proto.SerializeToString(), RunOptions())


@pytest.mark.parametrize("name", [*ON_ONNX, *ON_TORCH])
def test_a_device_that_is_hidden_is_an_error(name: str, tmp_path: Path) -> None:
    """The same check, in a process that sees no device, does not fall back to the CPU."""
    model = NALU(4, 5, 2)
    _load(name, model)
    suffix = formats.get(runtimes.get(name).format or "onnx").suffix
    source, artifact = tmp_path / "model.pt", tmp_path / f"model{suffix}"
    save(model, source)
    export(model, artifact, format=runtimes.get(name).format or "onnx", check=False)
    command = [sys.executable, "-m", "nalu_export", "check", str(source), str(artifact), "--runtime", name]
    command += ["--samples", "8", "--search", "0"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, env=hidden, capture_output=True, text=True)
    assert done.returncode == EXIT_RUNTIME_MISSING
    assert name in done.stderr
