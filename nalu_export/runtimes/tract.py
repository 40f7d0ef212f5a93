"""tract, Sonos' inference engine in Rust, on the CPU, in a separate process."""

import importlib.util
import sys
from pathlib import Path

from torch import nn

from nalu_export.errors import RuntimeUnavailableError
from nalu_export.runtimes._log_softmax import log_softmax_remarks
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession
from nalu_export.runtimes._program import served
from nalu_export.runtimes.base import RunOptions, Runtime, Session

PACKAGES = Path(__file__).parents[2]
# The process imports nalu_export from this package's folder, and everything else from Python's usual path.
_BEGIN = (
    "import json, sys, numpy; sys.path.insert(0, sys.argv.pop(1)); "
    "from nalu_export.runtimes._tract_program import main; del sys.path[0]; main()"
)


class _TractSession(OnnxSession):
    def __init__(self, data: bytes) -> None:
        super().__init__("tract", data)
        self.remarks = log_softmax_remarks(data, self._load, "hir/src/ops/nn/layer_max.rs of github.com/sonos/tract")

    def _load(self, data: bytes) -> Loaded:
        # The batch, and height and width of images, stay symbolic: they are the names of the file's free axes.
        command = [sys.executable, "-P", "-c", _BEGIN, str(PACKAGES)]
        session = served("tract", command, "model.onnx", data, called="tract")
        self.details = session.details
        self.where = f"{session.details['library']}, CPU"
        return Loaded(session.run, session.inputs, session.outputs)


class Tract(Runtime):
    """tract's default runtime, optimised, in one thread; TF32 and the number of threads do not apply.

    Measured with 0.23.9; it chooses its kernels by the processor. The matrix kernels for AVX-512 treat subnormal inputs
    and sums as zeros (they set the processor's DAZ flag, linalg/x86_64/avx512/preamble.j2). Tanh gives 0 below 2e-36
    with AVX-512 and for subnormal numbers with AVX2, and with both −1 for NaN and at most 1 − 6e-7. Max and Min drop
    NaN; LogSoftmax is log(Softmax). Its Exp, Log, Cos and division are within 1.5 roundoffs, so that a folded
    arithmetic subgraph is as accurate there as in other runtimes.

    Without the package, loading raises a RuntimeUnavailableError that says ``pip install 'nalu_export[tract]'``.
    """

    name = "tract"
    format = "onnx"
    partial = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model, options
        if importlib.util.find_spec("tract") is None:
            raise RuntimeUnavailableError("tract: tract is not installed; pip install 'nalu_export[tract]'")
        return _TractSession(data)


RUNTIME = Tract()
