"""TorchScript in PyTorch, on a CUDA device."""

from torch import nn

from nalu_export.runtimes._torch import ScriptSession, need_cuda
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchScriptCuda(Runtime):
    """``torch.jit.load``, moved to CUDA. Loading an archive runs what is in it; check only what you would run.

    TF32 as in :mod:`torch-cuda <nalu_export.runtimes.torch_cuda>`. TorchScript fuses elementwise operations on CUDA
    once it has seen a few runs of a shape: which batches of a check run fused is its choice. Without a device that
    torch sees: a RuntimeUnavailableError.
    """

    name = "torchscript-cuda"
    format = "torchscript"
    cuda = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        return ScriptSession(data, self.name, need_cuda(self.name, options.device), options)


RUNTIME = TorchScriptCuda()
