"""OpenVINO on the CPU, in float32 and no lower precision."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import nn

from nalu_export.errors import InputError, no_memory
from nalu_export.runtimes._imports import import_library
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession
from nalu_export.runtimes.base import Arrays, RunOptions, Runtime, Session

DEVICE = "CPU"
FLOAT64 = (
    "computes float64 in float32: OpenVINO's CPU plugin has no float64 and converts it without a warning "
    "(github.com/openvinotoolkit/openvino/pull/4681)"
)

EXP_LIMIT = 88.376
EXP = f"Exp is infinite past {EXP_LIMIT} instead of 88.723; outputs that depend on that are left out"


class _OpenVinoSession(OnnxSession):
    def __init__(self, data: bytes, openvino: Any, threads: int | None) -> None:
        self._core = openvino.Core()
        # Without the first option a CPU with bfloat16 computes in bfloat16. The second keeps float32 precision
        # from being traded for speed elsewhere. The third keeps subnormals as ONNX defines them, not as zeros.
        self._asked: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "EXECUTION_MODE_HINT": "ACCURACY",
            "CPU_DENORMALS_OPTIMIZATION": False,
        }
        if threads is not None:
            self._asked["INFERENCE_NUM_THREADS"] = threads
        super().__init__("openvino", data)
        self.remarks, self.exp_limit = (EXP,), EXP_LIMIT
        if self._has_float64:
            self.remarks, self.lowers_float64 = (EXP, FLOAT64), True
        library = f"openvino {openvino.__version__.partition('-')[0]}"
        self.where = f"{library}, {DEVICE}"
        in_force = {key: _text(self._compiled.get_property(key)) for key in self._asked}
        self.details = {
            "library": library,
            "device": _text(self._core.get_property(DEVICE, "FULL_DEVICE_NAME")),
            "provider": ", ".join(self._compiled.get_property("EXECUTION_DEVICES")),
            "options": ", ".join(
                f"{key}={value}" for key, value in sorted(in_force.items()) if key != "INFERENCE_NUM_THREADS"
            ),
            "threads": _text(self._compiled.get_property("INFERENCE_NUM_THREADS")),
        }

    def _load(self, data: bytes) -> Loaded:
        try:
            model = self._core.read_model(io.BytesIO(data))
            compiled = self._core.compile_model(model, DEVICE, self._asked)
        except RuntimeError as error:
            raise no_memory(error) or InputError(f"openvino refuses the file: {_reason(error)}") from error
        self._compiled = compiled
        types = {output.get_element_type().get_type_name() for op in model.get_ops() for output in op.outputs()}
        self._has_float64 = "f64" in types

        def run(inputs: Arrays) -> Arrays:
            try:
                results = compiled([np.ascontiguousarray(array) for array in inputs])
            except RuntimeError as error:
                raise no_memory(error) or InputError(f"openvino: {_reason(error)}") from error
            return [np.asarray(results[output]) for output in compiled.outputs]

        names = ([value.get_any_name() for value in values] for values in (compiled.inputs, compiled.outputs))
        return Loaded(run, *names)


def _text(value: Any) -> str:
    """Return a property as OpenVINO's documentation spells it: enumerations and types have names of their own."""
    if hasattr(value, "get_type_name"):
        return str(value.get_type_name())
    return str(getattr(value, "name", value))


def _reason(error: BaseException) -> str:
    """Return the reason of an error; OpenVINO puts lines with source locations before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (said or lines or [type(error).__name__])[0]


@contextmanager
def _no_telemetry() -> Iterator[None]:
    """Keep ``import openvino`` from sending usage data: it sends none if its telemetry package is missing."""
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


class OpenVino(Runtime):
    """OpenVINO's CPU plugin with ``INFERENCE_PRECISION_HINT`` f32; TF32 does not apply.

    Measured with 2026.4.1: it has no float64 (see :attr:`Session.remarks` of a session on such a file). Exp is inf past
    88.37627 instead of 88.7228, and for NaN (issue 35685); it is 0 where the result is subnormal; and its relative
    error grows with its argument, to 6.6 roundoffs at 88. Greater is true for NaN (issue 31196), Min and Max drop NaN
    (issue 35839). No option was found that changes any of this, ``CPU_DENORMALS_OPTIMIZATION`` and the execution mode
    included. Log, Tanh, Cos and division are within 1.4 roundoffs.

    Without the package, loading raises a RuntimeUnavailableError that says ``pip install 'nalu_export[openvino]'``.
    """

    name = "openvino"
    format = "onnx"
    float64 = False
    partial = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        with _no_telemetry():
            module = import_library("openvino", self.name, "openvino")
        return _OpenVinoSession(data, module, options.threads)


RUNTIME = OpenVino()
