"""ONNX Runtime on a CUDA device; a fallback to the CPU is an error, never a pass."""

from torch import nn

from nalu_export.errors import RuntimeUnavailableError
from nalu_export.runtimes._onnxruntime import OnnxSession, import_onnxruntime
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class OnnxRuntimeCuda(Runtime):
    """``CUDAExecutionProvider``, TF32 off unless asked for (the provider's own default is on)."""

    name = "onnxruntime-cuda"
    format = "onnx"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        module = import_onnxruntime(self.name, "gpu")
        if "CUDAExecutionProvider" not in module.get_available_providers():
            raise RuntimeUnavailableError(
                f"{self.name}: this onnxruntime has no CUDAExecutionProvider; "
                "pip uninstall onnxruntime, then pip install 'nalu_export[gpu]'"
            )
        # CUDA and cuDNN from the nvidia-* wheels are not on the loader's path by themselves.
        module.preload_dlls()
        provider_options = {"use_tf32": "1" if options.tf32 else "0"}
        session = OnnxSession(data, module, "CUDAExecutionProvider", provider_options, self.name)
        session.where += ", TF32 on" if options.tf32 else ", TF32 off"
        return session


RUNTIME = OnnxRuntimeCuda()
