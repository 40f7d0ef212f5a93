"""What the measurements on a CUDA device share: what is to run, the clock, and the facts about the machine."""

import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch

from benchmarks import machine
from benchmarks.graphs import graph_of
from nalu_export import NAC, formats, runtimes
from nalu_export.errors import NaluExportError, first_line
from nalu_export.formats.base import EmitOptions
from nalu_export.runtimes._cuda_device import device_facts
from nalu_export.runtimes.base import RunOptions


@dataclass(frozen=True)
class Setup:
    """What to run; tests put the CPU in its place.

    Attributes:
        device: as torch spells it, and ``OrtValue`` too.
        provider: of ONNX Runtime.
        onnx: the runtimes that run ONNX files.
        eager: the runtime that runs the model itself.
        script: the runtime that runs TorchScript.
        started: when the run began.
    """

    device: str = "cuda"
    provider: str = "CUDAExecutionProvider"
    onnx: tuple[str, ...] = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
    eager: str = "torch-cuda"
    script: str = "torchscript-cuda"
    started: float = field(default_factory=perf_counter)

    @property
    def names(self) -> tuple[str, ...]:
        """All runtimes."""
        return (*self.onnx, self.eager, self.script)

    def late(self, until: float) -> bool:
        """Whether the run has taken longer than ``until`` seconds."""
        return perf_counter() - self.started > until

    def progress(self, text: str) -> None:
        """Say what is under way, and when."""
        print(f"[{perf_counter() - self.started:4.0f} s] {text}", file=sys.stderr, flush=True)


OUT_OF_TIME = "not run: out of time"


def brief(error: BaseException, length: int = 200) -> str:
    """An exception as a cell of a table shows it."""
    # dynamo's own text begins with the backend's name; what went wrong is inside.
    error = getattr(error, "inner_exception", None) or error
    text = first_line(error)
    named = text if isinstance(error, NaluExportError) else f"{type(error).__name__}: {text}"
    return named if len(named) <= length else f"{named[: length - 3]}..."


def missing(names: Sequence[str]) -> dict[str, str]:
    """The runtimes that do not run here, with the reason: each is asked to load the smallest file."""
    graph = graph_of(NAC(1, 1))
    found: dict[str, str] = {}
    for name in names:
        runtime = runtimes.get(name)
        data = formats.get(runtime.format).emit(graph, EmitOptions()).to_bytes({}) if runtime.format else b""
        try:
            runtime.load(graph.called(graph.module), data, RunOptions())
        except Exception as error:  # noqa: BLE001  a broken driver raises anything
            found[name] = brief(error, 400)
    return found


def facts() -> list[tuple[str, str]]:
    """Device, driver, the CUDA and cuDNN of each library, then what every benchmark says of its machine."""
    device = device_facts()
    found = [("device", device["device"]), ("driver", device["driver"])]
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability(0)
        found.append(("compute capability", f"{major}.{minor}"))
    cudnn: Any = torch.backends.cudnn
    found.append(("CUDA of torch", f"{torch.version.cuda or 'none'}, cuDNN {cudnn.version() or 'none'}"))
    found.append(("CUDA of onnxruntime", _cuda_of_onnxruntime()))
    packages = [
        f"{name} {distribution.version}"
        for distribution in importlib.metadata.distributions()
        if (name := str(distribution.metadata["Name"] or "")).startswith(("nvidia-cudnn", "nvidia-cublas"))
    ]
    found.append(("installed", ", ".join(sorted(set(packages))) or "no nvidia-cudnn or nvidia-cublas package"))
    return found + machine.describe()


def _cuda_of_onnxruntime() -> str:
    try:
        import onnxruntime
    except ImportError as error:
        return f"not installed ({first_line(error)})"
    return str(getattr(onnxruntime, "cuda_version", "") or "none")
