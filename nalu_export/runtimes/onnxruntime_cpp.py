"""ONNX Runtime in a C++ program, on the CPU."""

from torch import nn

from nalu_export.runtimes._program import serve
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCpp(Runtime):
    """``CPUExecutionProvider`` through ONNX Runtime's C++ interface, in ``examples/cpp/onnxruntime_infer.cpp``.

    ``make cpp`` builds that program. If it is not built, and NALU_EXPORT_CPP names no folder that holds it, loading
    raises a RuntimeUnavailableError. TF32 does not apply.
    """

    name = "onnxruntime-cpp"
    format = "onnx"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        return serve(self.name, "onnxruntime_infer", "model.onnx", data, options)


RUNTIME = OnnxRuntimeCpp()
