"""What the ONNX Runtime runtimes share: no fallback, I/O binding and CUDA graphs, here with the CPU as the device."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nalu_export import NALU, InputError, RuntimeUnavailableError, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes._onnxruntime import BindingSession, GraphSession, OrtSession, Target
from nalu_export.runtimes.base import RunOptions
from tests.alone import run_one
from tests.captured import graph_of

NAMES = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
Array = NDArray[np.float32]


@pytest.fixture
def data(nalu: NALU) -> bytes:
    return formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})


def _batches() -> list[Array]:
    draw = np.random.default_rng(1)
    return [draw.uniform(-3, 3, (size, 4)).astype(np.float32) for size in (5, 1, 5, 0, 1, 7)]


@pytest.mark.parametrize("kind", [BindingSession, GraphSession])
def test_bound_buffers_give_the_same_on_the_cpu(kind: type[OrtSession], data: bytes, batch: Array) -> None:
    plain = OrtSession(data, onnxruntime, Target("plain"))
    bound = kind(data, onnxruntime, Target("bound"))
    for x in _batches():
        kept = x.copy()
        np.testing.assert_array_equal(run_one(bound, x), run_one(plain, x))
        np.testing.assert_array_equal(x, kept)
    seen = bound.values([batch], ["layers.0.m", "layers.0.W"])
    np.testing.assert_array_equal(seen["layers.0.m"], plain.values([batch], ["layers.0.m"])["layers.0.m"])
    with pytest.raises(InputError, match=r"^onnxruntime: .*invalid dimensions"):
        bound.run([np.zeros((1, 7), np.float32)])
    assert bound.where.endswith(kind.manner)


def test_an_array_that_is_not_contiguous_runs(data: bytes) -> None:
    x = np.asfortranarray(_batches()[0])
    plain = OrtSession(data, onnxruntime, Target("plain"))
    for kind in (OrtSession, BindingSession, GraphSession):
        bound = kind(data, onnxruntime, Target("bound"))
        np.testing.assert_array_equal(run_one(bound, x), run_one(plain, x.copy()))


def test_a_result_is_not_overwritten_by_the_next_run(data: bytes) -> None:
    session = GraphSession(data, onnxruntime, Target("graph"))
    first = run_one(session, np.ones((2, 4), np.float32))
    kept = first.copy()
    session.run([np.full((2, 4), 3, np.float32)])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_that_is_not_there(nalu: NALU, name: str) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    message = rf"^{name}: this onnxruntime has no CUDAExecutionProvider; pip uninstall onnxruntime, then pip install"
    with pytest.raises(RuntimeUnavailableError, match=message):
        runtimes.get(name).load(nalu, b"", RunOptions())
    with pytest.raises(RuntimeUnavailableError, match=r"^own: this onnxruntime has no Own, only .*CPU"):
        OrtSession(b"", onnxruntime, Target("own", "Own"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tf32", [False, True])
def test_cuda_runs_without_tf32_and_without_a_fallback(
    nalu: NALU, data: bytes, name: str, tf32: bool, pretended_cuda: Callable[..., Any], capsys: Any
) -> None:
    module = pretended_cuda()
    session = runtimes.get(name).load(nalu, data, RunOptions(tf32=tf32))
    assert module.preloaded
    assert capsys.readouterr() == ("", "")
    assert module.entries == {"session.disable_cpu_ep_fallback": "1"}
    assert module.options["use_tf32"] == ("1" if tf32 else "0")
    state = "on" if tf32 else "off"
    assert f"onnxruntime 1.0, CUDAExecutionProvider, Some GPU, driver 1.2, TF32 {state}" in session.where
    assert f"use_tf32={int(tf32)}" in session.details["options"].split(", ")
    rest = {key: session.details[key] for key in ("library", "device", "driver", "cuda", "provider", "threads")}
    assert rest == {
        "library": "onnxruntime 1.0",
        "device": "Some GPU",
        "driver": "1.2",
        "cuda": "13.0",
        "provider": "CUDAExecutionProvider",
        "threads": "default",
    }
    plain = OrtSession(data, onnxruntime, Target("plain"))
    for x in _batches():
        np.testing.assert_array_equal(run_one(session, x), run_one(plain, x))


@pytest.mark.parametrize("name", NAMES)
def test_a_fallback_is_an_error(nalu: NALU, data: bytes, name: str, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda("CPUExecutionProvider")
    message = rf"^{name}: asked for CUDAExecutionProvider, got CPUExecutionProvider"
    with pytest.raises(RuntimeUnavailableError, match=message) as error:
        runtimes.get(name).load(nalu, data, RunOptions())
    assert error.value.exit_code == 3
    pretended_cuda(refuses=RuntimeError("nodes were assigned to the CPU\nand more"))
    message = rf"^{name}: cannot run on CUDAExecutionProvider: nodes were assigned to the CPU$"
    with pytest.raises(RuntimeUnavailableError, match=message):
        runtimes.get(name).load(nalu, data, RunOptions())


def test_a_damaged_file_is_the_fault_of_the_file(nalu: NALU, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda()
    with pytest.raises(InputError, match=r"^onnxruntime-cuda refuses the file: "):
        runtimes.get("onnxruntime-cuda").load(nalu, b"garbage", RunOptions())


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_two_inputs_and_outputs(nalu: NALU, name: str, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda()
    session = runtimes.get(name).load(nalu, _sum_and_difference(), RunOptions())
    draw = np.random.default_rng(0)
    for sizes in ((3, 2), (5, 2), (3, 4), (3, 2)):
        x, y = (draw.uniform(-1, 1, sizes).astype(np.float32) for _ in range(2))
        total, difference = session.run([x, y])
        np.testing.assert_array_equal(total, x + y)
        np.testing.assert_array_equal(difference, x - y)
    with pytest.raises(InputError, match=rf"^{name}: the file takes 2 inputs, the model 1$"):
        session.run([x])


def _sum_and_difference() -> bytes:
    x, y, s, d = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "m"]) for name in "xysd")
    nodes = [helper.make_node("Add", ["x", "y"], ["s"]), helper.make_node("Sub", ["x", "y"], ["d"])]
    graph = helper.make_graph(nodes, "g", [x, y], [s, d])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    data: bytes = proto.SerializeToString()
    return data


def test_one_graph_for_each_shape(nalu: NALU, data: bytes, pretended_cuda: Callable[..., Any]) -> None:
    module = pretended_cuda()
    session = runtimes.get("onnxruntime-cuda-graph").load(nalu, data, RunOptions())
    assert module.options["enable_cuda_graph"] == "1"
    assert session.where.endswith(", CUDA graph")
    session.run([np.ones((5, 4), np.float32)])
    assert module.graphs == ["-1", "1", "1"]  # warm-up, capture, replay
    session.run([np.ones((2, 4), np.float32)])
    assert module.graphs[3:] == ["-1", "2", "2"]
    session.run([np.zeros((5, 4), np.float32)])
    assert module.graphs[6:] == ["1"]
    session.run([np.zeros((0, 4), np.float32)])
    assert module.graphs[7:] == ["-1"]


def test_the_others_capture_nothing(nalu: NALU, data: bytes, pretended_cuda: Callable[..., Any]) -> None:
    module = pretended_cuda()
    for name in NAMES[:2]:
        runtimes.get(name).load(nalu, data, RunOptions()).run([np.ones((5, 4), np.float32)])
        assert "enable_cuda_graph" not in module.options
    assert module.graphs == []


@pytest.mark.parametrize("given", [None, "0"])
def test_no_usage_data_is_sent(given: str | None, tmp_path: Path) -> None:
    """onnxruntime leaves a file in the temporary folder when its telemetry starts; what the user set is kept."""
    script = (
        "import os; from nalu_export.runtimes._onnxruntime import import_onnxruntime as load; load('r', 'cpu'); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'], os.environ['ORT_TELEMETRY_DISABLED'])"
    )
    names = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)} | ({} if given is None else {names[0]: given})
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [given or "1", "1"]
    if given is None:
        assert list(tmp_path.iterdir()) == []
