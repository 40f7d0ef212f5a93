"""ONNX Runtime on a CUDA device with I/O binding: inputs and outputs stay in the device's memory."""

from torch import nn

from nalu_export.runtimes._onnxruntime import cuda_target, import_onnxruntime
from nalu_export.runtimes._ort_binding import BindingSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCudaBinding(Runtime):
    """:mod:`onnxruntime-cuda <nalu_export.runtimes.onnxruntime_cuda>` with I/O binding, as a GPU pipeline feeds it."""

    name = "onnxruntime-cuda-binding"
    format = "onnx"
    cuda = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the number of threads does not apply."""
        del model
        module = import_onnxruntime(self.name, "gpu")
        return BindingSession(data, module, cuda_target(module, self.name, options))


RUNTIME = OnnxRuntimeCudaBinding()
