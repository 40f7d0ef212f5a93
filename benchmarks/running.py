"""Runs a file the way a user would, without this project's own runtimes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.silence import silence

Array = NDArray[np.float32]
Run = Callable[[Array], Array]


def onnxruntime_cpu(path: Path, threads: int = 0) -> Run:
    """An ONNX file in ONNX Runtime on the CPU; ``threads`` within one operator, 0 for as many as it likes."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(x: Array) -> Array:
        result: Array = session.run(None, {name: x})[0]
        return result

    return run


def torchscript(path: Path) -> Run:
    """A TorchScript archive in PyTorch on the CPU."""
    with silence():
        return eager(torch.jit.load(path))  # type: ignore[no-untyped-call]


def eager(module: nn.Module) -> Run:
    """A module as PyTorch runs it on the CPU."""

    def run(x: Array) -> Array:
        with torch.no_grad():
            result: Array = module(torch.from_numpy(x)).numpy()
        return result

    return run
