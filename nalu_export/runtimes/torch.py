"""PyTorch itself, in float32 on the CPU: the model as its user runs it."""

import torch
from torch import nn

from nalu_export.runtimes._torch import EagerSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class Torch(Runtime):
    """Eager PyTorch. It computes the effective weights in float32 in every forward; TF32 does not apply."""

    name = "torch"
    format = None
    own_weights = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the artifact is not used."""
        del data
        return EagerSession(model, torch.device("cpu"), options)


RUNTIME = Torch()
