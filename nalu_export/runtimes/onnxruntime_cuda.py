"""ONNX Runtime on a CUDA device; a fallback to the CPU is an error, never a pass."""

from torch import nn

from nalu_export.runtimes._onnxruntime import OrtSession, cuda_target, import_onnxruntime
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCuda(Runtime):
    """``CUDAExecutionProvider``, TF32 off unless asked for (the provider's own default is on).

    Where onnxruntime-gpu, the provider's libraries or a device are missing, or where a node of the file would run on
    the CPU, loading ends in a RuntimeUnavailableError.
    """

    name = "onnxruntime-cuda"
    format = "onnx"
    cuda = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the number of threads does not apply."""
        del model
        module = import_onnxruntime(self.name, "gpu")
        return OrtSession(data, module, cuda_target(module, self.name, options))


RUNTIME = OnnxRuntimeCuda()
