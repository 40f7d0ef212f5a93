"""PyTorch itself, in float32 on a CUDA device."""

from torch import nn

from nalu_export.runtimes._torch import EagerSession, need_cuda
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchCuda(Runtime):
    """Eager PyTorch on CUDA, effective weights in float32 in every forward.

    TF32 is off in matrix products and convolutions unless asked for, whatever the process has set (torch's own default
    is off for the former, on for the latter); what it has set is put back after each run. Without a device that torch
    sees: a RuntimeUnavailableError.
    """

    name = "torch-cuda"
    format = None
    cuda = True
    own_weights = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the artifact plays no part."""
        del data
        return EagerSession(model, need_cuda(self.name, options.device), options)


RUNTIME = TorchCuda()
