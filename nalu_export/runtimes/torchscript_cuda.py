"""TorchScript in PyTorch, on a CUDA device."""

from torch import nn

from nalu_export.runtimes._torch import ScriptSession, need_cuda
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchScriptCuda(Runtime):
    """``torch.jit.load``, moved to CUDA. Loading an archive runs what is in it; check only what you would run.

    TF32 as in :mod:`torch-cuda <nalu_export.runtimes.torch_cuda>`. TorchScript fuses elementwise operations on CUDA
    once it has seen two runs; a check runs many batches, and so both ways. Without a device that torch sees: a
    RuntimeUnavailableError.
    """

    name = "torchscript-cuda"
    format = "torchscript"
    tf32 = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        need_cuda(self.name)
        return ScriptSession(data, self.name, "cuda", options)


RUNTIME = TorchScriptCuda()
