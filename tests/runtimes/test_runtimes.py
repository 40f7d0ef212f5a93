"""The runtimes that need no device: each runs its format, says where, and refuses what it cannot run."""

import builtins
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from nalu_export import NALU, InputError, RuntimeUnavailableError, runtimes
from nalu_export import formats as all_formats
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes.base import RunOptions


def _artifact(model: NALU, name: str) -> bytes:
    return all_formats.get(name).emit(model, EmitOptions((4,))).to_bytes({})


def test_each_file_is_a_runtime_of_its_name() -> None:
    assert runtimes.names() == ("onnxruntime-cpu", "onnxruntime-cuda", "torch", "torchscript")
    for name in runtimes.names():
        runtime = runtimes.get(name)
        assert runtime.name == name
        assert runtime.format in (None, *all_formats.names())


@pytest.mark.parametrize(
    ("name", "where"),
    [("onnxruntime-cpu", "CPUExecutionProvider"), ("torchscript", "TorchScript, CPU"), ("torch", "eager, CPU")],
)
def test_it_runs_every_batch_and_says_where(nalu: NALU, name: str, where: str) -> None:
    runtime = runtimes.get(name)
    data = _artifact(nalu, runtime.format) if runtime.format else b""
    session = runtime.load(nalu, data, RunOptions())
    assert where in session.where
    for batch in (0, 1, 5):
        x = np.random.default_rng(0).uniform(0, 2, (batch, 4)).astype(np.float32)
        out = session.run(x)
        assert out.dtype == np.float32
        with torch.no_grad():
            np.testing.assert_allclose(out.astype(np.float32), nalu(torch.from_numpy(x)).numpy(), rtol=1e-5)


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "torchscript"])
@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04garbage"])
def test_a_damaged_file_is_one_line(nalu: NALU, name: str, data: bytes) -> None:
    with pytest.raises(InputError, match=rf"^{name} refuses the file: .+") as error:
        runtimes.get(name).load(nalu, data, RunOptions())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["onnxruntime-cpu", "torchscript"])
def test_a_batch_that_does_not_fit_is_one_line(nalu: NALU, name: str) -> None:
    runtime = runtimes.get(name)
    assert runtime.format is not None
    session = runtime.load(nalu, _artifact(nalu, runtime.format), RunOptions())
    with pytest.raises(InputError) as error:
        session.run(np.zeros((1, 7), np.float32))
    assert "\n" not in str(error.value)


def test_a_file_with_two_outputs_is_refused(nalu: NALU) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("y", "z")]
    nodes = [helper.make_node("Abs", ["x"], [name]) for name in ("y", "z")]
    graph = helper.make_graph(nodes, "g", [x], outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(proto)
    with pytest.raises(InputError, match="the file has 1 inputs and 2 outputs, not one each"):
        runtimes.get("onnxruntime-cpu").load(nalu, proto.SerializeToString(), RunOptions())


@pytest.mark.parametrize(("name", "extra"), [("onnxruntime-cpu", "cpu"), ("onnxruntime-cuda", "gpu")])
def test_without_onnxruntime_the_extra_is_named(
    nalu: NALU, name: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(module: str, *args: Any, **kwargs: Any) -> Any:
        if module == "onnxruntime":
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(RuntimeUnavailableError, match=rf"pip install 'nalu_export\[{extra}\]'"):
        runtimes.get(name).load(nalu, b"", RunOptions())


def test_the_model_is_not_shared_with_eager_torch(nalu: NALU) -> None:
    session = runtimes.get("torch").load(nalu, b"", RunOptions())
    x = np.ones((1, 4), np.float32)
    before = session.run(x)
    with torch.no_grad():
        next(nalu.parameters()).add_(1.0)
    np.testing.assert_array_equal(session.run(x), before)


class _Fake:
    """An onnxruntime whose CUDA provider does not load, as when its libraries are missing."""

    __version__ = "0"

    class SessionOptions:
        log_severity_level = 0

        def __init__(self) -> None:
            self.entries: dict[str, str] = {}

        def add_session_config_entry(self, key: str, value: str) -> None:
            self.entries[key] = value

    def __init__(self, used: list[str], *, refuses: bool = False) -> None:
        self.used, self.refuses = used, refuses
        self.asked: tuple[Any, Any] | None = None

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        pass

    def InferenceSession(self, data: bytes, options: Any, providers: Any, enable_fallback: int) -> Any:  # noqa: N802
        assert enable_fallback == 0
        self.asked = (options, providers)
        if self.refuses:
            raise RuntimeError("nodes were assigned to the CPU\nand more")
        return self

    def get_providers(self) -> list[str]:
        return self.used

    def get_inputs(self) -> list[Any]:
        return [type("Value", (), {"name": "input"})]

    get_outputs = get_inputs


@pytest.mark.parametrize("tf32", [False, True])
def test_cuda_never_falls_back(nalu: NALU, tf32: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from nalu_export.runtimes import onnxruntime_cuda

    for fake, message in (
        (_Fake(["CPUExecutionProvider"]), "asked for CUDAExecutionProvider, got CPUExecutionProvider"),
        (_Fake([], refuses=True), "cannot run on CUDAExecutionProvider: nodes were assigned to the CPU$"),
    ):
        monkeypatch.setattr(onnxruntime_cuda, "import_onnxruntime", lambda *_, fake=fake: fake)
        with pytest.raises(RuntimeUnavailableError, match=message):
            runtimes.get("onnxruntime-cuda").load(nalu, b"", RunOptions(tf32=tf32))
        assert fake.asked is not None
        options, providers = fake.asked
        assert options.entries == {"session.disable_cpu_ep_fallback": "1"}
        assert providers == [("CUDAExecutionProvider", {"use_tf32": "1" if tf32 else "0"})]
    working = _Fake(["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime_cuda, "import_onnxruntime", lambda *_: working)
    session = runtimes.get("onnxruntime-cuda").load(nalu, b"", RunOptions(tf32=tf32))
    assert session.where.endswith("TF32 on" if tf32 else "TF32 off")
