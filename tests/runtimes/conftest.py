"""What the tests of every runtime use."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from torch import nn

from nalu_export import NALU, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import Compute
from nalu_export.graph.interface import Called, positional
from nalu_export.runtimes import _program
from nalu_export.runtimes._program import ProgramSession
from nalu_export.runtimes.base import RunOptions, Session
from tests.captured import graph_of
from tests.runtimes.programs import program
from tests.runtimes.sessions import Start

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
def head_file(nalu: NALU) -> bytes:
    """An ONNX file of a small NALU."""
    return formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})


@pytest.fixture
def batches() -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Batches for it of several sizes, one of them empty."""
    draw = np.random.default_rng(1)
    return [draw.uniform(-3, 3, (size, 4)).astype(np.float32) for size in (5, 1, 5, 0, 1, 7)]


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


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a program that does what a text says, see :func:`program`."""
    return lambda body: ProgramSession("fake", [str(program(tmp_path / "fake_infer", body))])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With programs that run; how long one takes to start is its machine's business."""
    monkeypatch.setattr(_program, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(_program, "END_SECONDS", 0.2)
