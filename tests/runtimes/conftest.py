"""What the tests of every runtime use."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from torch import nn

from nalu_export import formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.interface import Called, positional
from nalu_export.runtimes.base import RunOptions, Session
from nalu_export.weights import Compute
from tests.captured import graph_of

Load = Callable[..., Session]


@pytest.fixture
def load() -> Load:
    """Exports a model the way a runtime wants it and loads it there."""

    def load(name: str, model: nn.Module, shape: tuple[int, ...] = (4,), compute: Compute = "float32") -> Session:
        runtime = runtimes.get(name)
        data = b""
        if runtime.format:
            data = formats.get(runtime.format).emit(graph_of(model, shape), EmitOptions(compute=compute)).to_bytes({})
        return runtime.load(Called(model, positional(1)), data, RunOptions(threads=1))

    return load


@pytest.fixture
def onnx_file() -> Callable[..., bytes]:
    """An ONNX file of one node, by default Abs, for each name of an output."""

    def build(*outputs: str, op: str = "Abs") -> bytes:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in outputs]
        nodes = [helper.make_node(op, ["x"], [name]) for name in outputs]
        graph = helper.make_graph(nodes, "g", [x], given)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.checker.check_model(proto)
        data: bytes = proto.SerializeToString()
        return data

    return build


@pytest.fixture
def uninstalled(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a library look as if it were not installed."""
    return lambda module: monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture
def batch() -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Five samples of four numbers, of either sign, with a zero."""
    x = np.random.default_rng(0).uniform(-3, 3, (5, 4)).astype(np.float32)
    x[0, 0] = 0
    return x


class PretendedCuda:
    """onnxruntime with a CUDA provider that is its CPU provider: what is asked of it is kept, and it computes.

    Args:
        used: what a session says that it runs on.
        refuses: what loading raises.
    """

    __version__ = "1.0"
    cuda_version = "13.0"

    def __init__(self, used: str = "CUDAExecutionProvider", refuses: Exception | None = None) -> None:
        self.used, self.refuses = used, refuses
        self.entries: dict[str, str] = {}
        self.options: dict[str, str] = {}
        self.graphs: list[str] = []
        self.preloaded = False
        module = self

        class SessionOptions:
            log_severity_level = 0

            def add_session_config_entry(self, key: str, value: str) -> None:
                module.entries[key] = value

        class RunOptions:
            def add_run_config_entry(self, key: str, value: str) -> None:
                assert key == "gpu_graph_id"
                module.graphs.append(value)

        class OrtValue:
            @staticmethod
            def ortvalue_from_numpy(x: Any, device: str, number: int) -> Any:
                assert (device, number) == ("cuda", 0)
                return onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0)

        self.SessionOptions, self.RunOptions, self.OrtValue = SessionOptions, RunOptions, OrtValue

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        sys.stdout.write("a library is missing")
        self.preloaded = True

    def InferenceSession(self, data: bytes, options: Any, providers: Any, enable_fallback: int) -> Any:  # noqa: N802
        assert enable_fallback == 0
        assert options.log_severity_level == 4
        ((name, self.options),) = providers
        assert name == "CUDAExecutionProvider"
        if self.refuses:
            raise self.refuses
        return _PretendedSession(data, self)


class _PretendedSession:
    def __init__(self, data: bytes, module: PretendedCuda) -> None:
        self._session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [self._module.used, "CPUExecutionProvider"]

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {"CUDAExecutionProvider": {"device_id": "0", **self._module.options}}

    def io_binding(self) -> Any:
        binding = self._session.io_binding()
        bind_output = binding.bind_output
        binding.bind_output = lambda name, device, number: bind_output(name, {"cuda": "cpu"}[device], number)
        return binding

    def run_with_iobinding(self, binding: Any, options: Any = None) -> None:
        del options
        self._session.run_with_iobinding(binding)


@pytest.fixture
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., PretendedCuda]:
    """Replaces onnxruntime for the runtimes by :class:`PretendedCuda`, and the device by one with a name."""

    def pretend(*args: Any, **kwargs: Any) -> PretendedCuda:
        module = PretendedCuda(*args, **kwargs)
        for name in ("onnxruntime_cuda", "onnxruntime_cuda_binding", "onnxruntime_cuda_graph"):
            monkeypatch.setattr(f"nalu_export.runtimes.{name}.import_onnxruntime", lambda *_: module)
        facts = {"device": "Some GPU", "driver": "1.2"}
        monkeypatch.setattr("nalu_export.runtimes._onnxruntime.device_facts", lambda: facts)
        return module

    return pretend
