"""ONNX Runtime on the CPU."""

from torch import nn

from nalu_export.runtimes._onnxruntime import OrtSession, Target, import_onnxruntime
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCpu(Runtime):
    """``CPUExecutionProvider`` of the installed onnxruntime package, whichever it is."""

    name = "onnxruntime-cpu"
    format = "onnx"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; TF32 does not apply to the CPU."""
        del model
        module = import_onnxruntime(self.name, "cpu")
        return OrtSession(data, module, Target(self.name, threads=options.threads, fold=options.fold))


RUNTIME = OnnxRuntimeCpu()
