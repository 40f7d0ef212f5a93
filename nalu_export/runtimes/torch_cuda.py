"""PyTorch itself, in float32 on a CUDA device."""

from torch import nn

from nalu_export.runtimes._torch import EagerSession, need_cuda
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchCuda(Runtime):
    """Eager PyTorch on CUDA. It computes the effective weights in float32 in every forward.

    TF32 is off in matrix products and convolutions unless requested, whatever the process has set (torch's own default
    is off for matrix products, on for convolutions); the process's settings are restored after each run. Without a
    device that torch sees, loading raises a RuntimeUnavailableError.
    """

    name = "torch-cuda"
    format = None
    cuda = True
    own_weights = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the artifact is not used."""
        del data
        return EagerSession(model, need_cuda(self.name, options.device), options)


RUNTIME = TorchCuda()
