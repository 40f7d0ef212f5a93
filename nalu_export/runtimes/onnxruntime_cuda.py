"""ONNX Runtime on a CUDA device; a fallback to the CPU is an error, never a pass."""

from torch import nn

from nalu_export.runtimes._onnxruntime import OrtSession, cuda_target, import_onnxruntime
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCuda(Runtime):
    """``CUDAExecutionProvider``, with TF32 off unless requested (the provider's own default is on).

    Loading raises a RuntimeUnavailableError if onnxruntime-gpu, the provider's libraries or a device are missing, or if
    a node of the file that computes more than shapes would run on the CPU.
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
