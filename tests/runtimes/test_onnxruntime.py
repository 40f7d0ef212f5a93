"""The session that the ONNX Runtime runtimes share: it falls back to no other provider, and says why it cannot run."""

import os
import re
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
from nalu_export.runtimes._onnxruntime import OrtSession, Target
from nalu_export.runtimes.base import RunOptions
from tests.alone import run_one
from tests.captured import graph_of

NAMES = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
Array = NDArray[np.float32]


@pytest.mark.parametrize("name", NAMES)
def test_a_provider_that_is_not_there(nalu: NALU, name: str) -> None:
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    message = rf"^{name}: this onnxruntime has no CUDAExecutionProvider; pip uninstall onnxruntime, then pip install"
    with pytest.raises(RuntimeUnavailableError, match=message):
        runtimes.get(name).load(nalu, b"", RunOptions())
    with pytest.raises(RuntimeUnavailableError, match=r"^own: this onnxruntime has no Own; it has .*CPU"):
        OrtSession(b"", onnxruntime, Target("own", "Own"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tf32", [False, True])
def test_cuda_runs_without_tf32_and_without_a_fallback(
    nalu: NALU,
    head_file: bytes,
    batches: list[Array],
    name: str,
    tf32: bool,
    pretended_cuda: Callable[..., Any],
    capfd: pytest.CaptureFixture[str],
) -> None:
    module = pretended_cuda(preloading="Failed to load libcufft.so.12: it is not needed")
    options = RunOptions(tf32=tf32, device=1, device_memory=2**30, provider_options={"prefer_nhwc": "1"})
    session = runtimes.get(name).load(nalu, head_file, options)
    assert module.preloaded
    assert capfd.readouterr() == ("", "")
    assert module.entries == {"session.record_ep_graph_assignment_info": "1"}
    given = {"device_id": "1", "cudnn_conv_algo_search": "HEURISTIC", "gpu_mem_limit": "1073741824", "prefer_nhwc": "1"}
    assert given.items() <= module.options.items()
    state = "on" if tf32 else "off"
    assert f"onnxruntime 1.0, CUDAExecutionProvider, GPU 1, driver 1.2, TF32 {state}" in session.where
    wanted = {f"{key}={value}" for key, value in (given | {"use_tf32": str(int(tf32))}).items()}
    assert wanted <= set(session.details["options"].split(", "))
    rest = {key: session.details[key] for key in ("library", "device", "driver", "cuda", "provider", "threads")}
    assert rest == {
        "library": "onnxruntime 1.0",
        "device": "GPU 1",
        "driver": "1.2",
        "cuda": "13.0",
        "provider": "CUDAExecutionProvider",
        "threads": "default",
    }
    plain = OrtSession(head_file, onnxruntime, Target("plain"))
    for x in batches:
        np.testing.assert_array_equal(run_one(session, x), run_one(plain, x))
    assert module.devices <= {("cuda", 1)}
    assert module.levels == [3, 2]


@pytest.mark.parametrize("name", NAMES)
def test_a_session_without_its_provider_is_an_error(
    nalu: NALU, head_file: bytes, name: str, pretended_cuda: Callable[..., Any]
) -> None:
    pretended_cuda("CPUExecutionProvider")
    message = rf"^{name}: onnxruntime 1.0, built for CUDA 13.0, cannot load its CUDAExecutionProvider: its libraries do"
    with pytest.raises(RuntimeUnavailableError, match=message) as error:
        runtimes.get(name).load(nalu, head_file, RunOptions())
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            RuntimeError("something else\nand more"),
            RuntimeUnavailableError,
            "cannot run on CUDAExecutionProvider: some",
        ),
        (RuntimeError("CUDA failure 35: driver too old ; hostname=me"), RuntimeUnavailableError, "update the driver"),
        (RuntimeError("CUDA failure 2: out of memory ; hostname=me"), RuntimeUnavailableError, "out of memory"),
        (
            RuntimeError(
                "/src/a.cc:63 static A::B(C) [ONNXRuntimeError] : 1 : FAIL : Parse Unknown provider option: x"
            ),
            InputError,
            "Unknown provider option: x",
        ),
    ],
)
def test_why_a_file_does_not_load(
    nalu: NALU,
    head_file: bytes,
    error: Exception,
    kind: type[Exception],
    message: str,
    pretended_cuda: Callable[..., Any],
) -> None:
    pretended_cuda(refuses=error)
    with pytest.raises(kind, match=rf"^onnxruntime-cuda: .*{message}") as raised:
        runtimes.get("onnxruntime-cuda").load(nalu, head_file, RunOptions())
    assert "hostname" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (RuntimeError("Status Message: cuDNN is not available."), RuntimeUnavailableError, "cuDNN is missing"),
        (
            RuntimeError("CUDA failure 700: an illegal access ; hostname=me"),
            RuntimeUnavailableError,
            "the device failed",
        ),
        (ValueError("Got invalid dimensions"), InputError, "onnxruntime: Got invalid dimensions"),
    ],
)
def test_why_a_batch_does_not_run(
    nalu: NALU,
    head_file: bytes,
    batch: Array,
    name: str,
    error: Exception,
    kind: type[Exception],
    message: str,
    pretended_cuda: Callable[..., Any],
) -> None:
    pretended_cuda(fails=error)
    session = runtimes.get(name).load(nalu, head_file, RunOptions())
    with pytest.raises(kind, match=message) as raised:
        session.run([batch])
    assert "hostname" not in str(raised.value)


def test_a_node_without_a_kernel_is_named(nalu: NALU, head_file: bytes, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda(on_cpu=["Exp"])
    message = (
        "onnxruntime-cuda: onnxruntime 1.0 runs 6 nodes of the file on the CPU, for which CUDAExecutionProvider has no "
        "kernel: Exp (float) "
    )
    with pytest.raises(RuntimeUnavailableError, match=f"^{re.escape(message)}") as error:
        runtimes.get("onnxruntime-cuda").load(nalu, head_file, RunOptions())
    assert str(error.value).endswith(" and 2 more")


def test_an_onnxruntime_that_does_not_tell(nalu: NALU, head_file: bytes, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda().assignments = False
    with pytest.raises(RuntimeUnavailableError, match=r"does not report which provider .* 'onnxruntime-gpu>=1\.24'$"):
        runtimes.get("onnxruntime-cuda").load(nalu, head_file, RunOptions())


def test_shapes_may_stay_on_the_cpu(nalu: NALU, pretended_cuda: Callable[..., Any]) -> None:
    pretended_cuda(on_cpu=["Shape", "Gather", "Concat"])
    session = runtimes.get("onnxruntime-cuda").load(nalu, _flattening(), RunOptions())
    assert session.where.endswith(", shapes on the CPU: Shape s, Gather g, Concat c")


@pytest.mark.parametrize("fold", [True, False])
def test_whether_live_weights_were_folded_is_said(
    nalu: NALU, fold: bool, batch: Array, pretended_cuda: Callable[..., Any]
) -> None:
    pretended_cuda()
    data = formats.get("onnx").emit(graph_of(nalu), EmitOptions("live")).to_bytes({})
    session = runtimes.get("onnxruntime-cuda").load(nalu, data, RunOptions(fold=fold))
    assert session.where.endswith(", constants folded on the CPU at load") is fold
    plain = OrtSession(data, onnxruntime, Target("plain", fold=fold))
    np.testing.assert_array_equal(run_one(session, batch), run_one(plain, batch))


def _flattening() -> bytes:
    """``x.view(x.size(0), -1)`` as torch exports it."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "m"])
    zero, rest = (
        helper.make_tensor(name, TensorProto.INT64, [1], [value]) for name, value in (("zero", 0), ("rest", -1))
    )
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], name="s"),
        helper.make_node("Gather", ["shape", "zero"], ["size"], name="g"),
        helper.make_node("Concat", ["size", "rest"], ["sizes"], name="c", axis=0),
        helper.make_node("Reshape", ["x", "sizes"], ["y"], name="r"),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], [zero, rest])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    data: bytes = proto.SerializeToString()
    return data


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


@pytest.mark.quick(1)
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
