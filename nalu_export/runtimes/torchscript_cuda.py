"""TorchScript in PyTorch, on a CUDA device."""

from torch import nn

from nalu_export.runtimes._torch import ScriptSession, need_cuda
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchScriptCuda(Runtime):
    """``torch.jit.load`` onto CUDA. Loading an archive executes code in it; check only files that you would run.

    TF32 is handled as in :mod:`torch-cuda <nalu_export.runtimes.torch_cuda>`. TorchScript fuses elementwise operations
    on CUDA after a few runs of a shape: it decides which batches of a check run fused. Without a device that torch
    sees, loading raises a RuntimeUnavailableError.
    """

    name = "torchscript-cuda"
    format = "torchscript"
    cuda = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        return ScriptSession(data, self.name, need_cuda(self.name, options.device), options)


RUNTIME = TorchScriptCuda()
