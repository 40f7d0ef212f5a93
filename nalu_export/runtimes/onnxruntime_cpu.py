"""ONNX Runtime on the CPU."""

from torch import nn

from nalu_export.runtimes._onnxruntime import OnnxSession, import_onnxruntime
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCpu(Runtime):
    """``CPUExecutionProvider`` of whichever onnxruntime package is installed."""

    name = "onnxruntime-cpu"
    format = "onnx"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; TF32 does not apply to the CPU."""
        del model
        module = import_onnxruntime(self.name, "cpu")
        return OnnxSession(data, module, "CPUExecutionProvider", {}, self.name, options.threads)


RUNTIME = OnnxRuntimeCpu()
