"""What others do to find a fault, each with its defaults, next to our own check."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnx_ir
import onnxruntime as ort
import torch
from torch import nn
from torch.onnx.verification import verify_onnx_program

from benchmarks.running import eager
from benchmarks.silence import silence
from nalu_export import runtimes
from nalu_export.runtimes.base import RunOptions
from tests.faults import subjects
from tests.faults.planted import AnyArray, Planted, Run, one_to_one

SAMPLES = 256
EXAMPLES = 2
RTOL, ATOL = 1e-3, 1e-5
# Where torch.onnx.export(verify=True) warns of a large difference (torch/onnx/_internal/exporter/_core.py, 2.13).
LARGE_ABSOLUTE, LARGE_RELATIVE = 5e-3, 1e-1


@dataclass(frozen=True)
class Peer:
    """One way to compare an artifact with its model.

    Attributes:
        name: heading of its column.
        caught: whether it finds something wrong; an exception is a finding, too.
        refuses: why it cannot be run on something, or nothing.
    """

    name: str
    caught: Callable[[Planted], bool]
    refuses: Callable[[Planted], str | None]

    def judge(self, planted: Planted) -> str:
        """``caught``, ``missed``, or ``n/a`` with the reason."""
        reason = self.refuses(planted)
        if reason is not None:
            return f"n/a ({reason})"
        with _quiet():
            try:
                return "caught" if self.caught(planted) else "missed"
            except Exception:  # noqa: BLE001
                # Whatever a tool raises on a faulty artifact, its user hears of it.
                return "caught"


def _ours(planted: Planted) -> bool:
    return not planted.check().passed


def _torch_verifies(planted: Planted) -> bool:
    """What ``torch.onnx.export(verify=True)`` looks at: checker, a run of the example, two thresholds."""
    shape = planted.shapes[0]
    with TemporaryDirectory() as folder:
        path = _written(planted, Path(folder))
        onnx.checker.check_model(str(path))
        # As an ONNXProgram holds it; from the file it would keep a path that onnxruntime then refuses.
        model = onnx_ir.external_data.load_to_model(onnx_ir.load(path))
        program = torch.onnx.ONNXProgram(model, _exported(planted.model, shape))
        found = verify_onnx_program(program)
    return any(one.max_abs_diff >= LARGE_ABSOLUTE or one.max_rel_diff >= LARGE_RELATIVE for one in found)


def _all_close(planted: Planted) -> bool:
    """The three lines of most export scripts."""
    x = np.random.default_rng(0).uniform(0.0, 1.0, (SAMPLES, *planted.shapes[0])).astype(np.float32)
    with running(planted) as run:
        return not np.allclose(run(x), eager(planted.model)(x), rtol=RTOL, atol=ATOL)


def _polygraphy(planted: Planted) -> bool:
    """Comparator with its defaults, against the model in PyTorch."""
    from benchmarks import with_polygraphy

    with running(planted) as run:
        return with_polygraphy.differ(eager(planted.model), run, planted.shapes[0])


class OnnxRun:
    """A file in ONNX Runtime, loaded by its path as a user does.

    Attributes:
        session: that runs it.
    """

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        options.log_severity_level = 4
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, x: AnyArray) -> AnyArray:
        """The first output for one batch."""
        result: AnyArray = self.session.run(None, {self.session.get_inputs()[0].name: x})[0]
        return result


@contextmanager
def running(planted: Planted) -> Iterator[Run]:
    """The artifact, in a runtime with the planted fault if there is one."""
    with TemporaryDirectory() as folder:
        run: Run
        if planted.runtime == "onnxruntime-cpu":
            run = OnnxRun(_written(planted, Path(folder)))
        else:
            called = planted.graph.called(planted.model)
            run = one_to_one(runtimes.get(planted.runtime).load(called, planted.data, RunOptions()))
        yield run if planted.wrap is None else planted.wrap(run)


def _written(planted: Planted, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(planted.data)
    for name, data in planted.beside.items():
        (folder / name).write_bytes(data)
    return path


@cache
def _exported(model: nn.Module, shape: tuple[int, ...]) -> torch.export.ExportedProgram:
    """The model as torch.onnx takes it, with the usual example, ``torch.randn`` of two samples."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(subjects.SEED)
        return torch.export.export(model, (torch.randn(EXAMPLES, *shape),))


@contextmanager
def _quiet() -> Iterator[None]:
    with silence(), np.errstate(all="ignore"):
        yield


def _anything(planted: Planted) -> None:
    del planted


def _where_installed(planted: Planted) -> str | None:
    del planted
    return None if find_spec("polygraphy") else "not installed"


def _only_onnx_files(planted: Planted) -> str | None:
    if planted.runtime != "onnxruntime-cpu":
        return "not an ONNX file"
    return "runs the file itself" if planted.wrap is not None else None


OURS = Peer("nalu_export check", _ours, _anything)
TORCH = Peer("torch.onnx verification", _torch_verifies, _only_onnx_files)
NUMPY = Peer("numpy.allclose", _all_close, _anything)
POLYGRAPHY = Peer("Polygraphy", _polygraphy, _where_installed)
PEERS = (OURS, TORCH, NUMPY, POLYGRAPHY)
