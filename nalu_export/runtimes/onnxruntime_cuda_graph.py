"""ONNX Runtime on a CUDA device, replaying CUDA graphs."""

from torch import nn

from nalu_export.runtimes._onnxruntime import cuda_target, import_onnxruntime
from nalu_export.runtimes._ort_binding import GraphSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCudaGraph(Runtime):
    """:mod:`onnxruntime-cuda <nalu_export.runtimes.onnxruntime_cuda>` with ``enable_cuda_graph``.

    It captures one graph for each input shape, see :class:`GraphSession`. A file that cannot be captured (control flow,
    a node that the CUDA provider does not have) raises a RuntimeUnavailableError.
    """

    name = "onnxruntime-cuda-graph"
    format = "onnx"
    cuda = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the number of threads does not apply."""
        del model
        module = import_onnxruntime(self.name, "gpu")
        return GraphSession(data, module, cuda_target(module, self.name, options, enable_cuda_graph="1"))


RUNTIME = OnnxRuntimeCudaGraph()
