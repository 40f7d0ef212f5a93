"""tract, Sonos' inference engine in Rust, on the CPU."""

import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from nalu_export.errors import InputError
from nalu_export.runtimes._imports import import_library
from nalu_export.runtimes._log_softmax import log_softmax_remarks
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession
from nalu_export.runtimes.base import Arrays, RunOptions, Runtime, Session

_NUMBER = re.compile(r"^\d+: ")


class _TractSession(OnnxSession):
    def __init__(self, data: bytes, tract: Any) -> None:
        self._tract = tract
        super().__init__("tract", data)
        self.remarks = log_softmax_remarks(data, self._load, "hir/src/ops/nn/layer_max.rs of github.com/sonos/tract")
        library = f"tract {tract.version()}"
        self.where = f"{library}, CPU"
        self.details = {
            "library": library,
            "device": "CPU",
            "provider": "default",
            "options": "",
            "threads": "1",
        }

    def _load(self, data: bytes) -> Loaded:
        # The Python interface reads files only. The batch, and height and width of images, stay symbols: the names of
        # the file's free axes.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(data)
            try:
                model = self._tract.onnx().load(path)
                inputs = [model.input_name(place) for place in range(model.input_count())]
                outputs = [model.output_name(place) for place in range(model.output_count())]
                runnable = model.into_model().into_runnable()
            except self._tract.TractError as error:
                raise InputError(f"tract refuses the file: {_reason(error)}") from error

        def run(inputs: Arrays) -> Arrays:
            try:
                results = runnable.run([np.ascontiguousarray(array) for array in inputs])
            except self._tract.TractError as error:
                raise InputError(f"tract: {_reason(error)}") from error
            return [result.to_numpy() for result in results]

        return Loaded(run, inputs, outputs)


def _reason(error: BaseException) -> str:
    """It tells a chain of causes, the last of which says what is wrong, and then where in its code that was."""
    causes = str(error).partition("Stack backtrace:")[0]
    lines = [line.strip() for line in causes.splitlines() if line.strip()]
    return _NUMBER.sub("", lines[-1]) if lines else type(error).__name__


class Tract(Runtime):
    """Its default runtime, optimised, in one thread; TF32 and the number of threads do not apply.

    Measured with 0.23.9; it chooses its kernels by the processor. The matrix kernels for AVX-512 take subnormal inputs
    and sums for zeros (they set the processor's DAZ flag, linalg/x86_64/avx512/preamble.j2). Tanh gives 0 below 2e-36
    with AVX-512 and for subnormal numbers with AVX2, and with both −1 for NaN and at most 1 − 6e-7. Max and Min drop
    NaN; LogSoftmax is log(Softmax). Its Exp, Log, Cos and division are within 1.5 roundoffs, so that a folded head is
    as accurate there as anywhere.

    Without the package: a RuntimeUnavailableError that says ``pip install 'nalu_export[tract]'``.
    """

    name = "tract"
    format = "onnx"
    partial = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model, options
        return _TractSession(data, import_library("tract", self.name, "tract"))


RUNTIME = Tract()
