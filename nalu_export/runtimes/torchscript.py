"""TorchScript in PyTorch, on the CPU."""

import torch
from torch import nn

from nalu_export.runtimes._torch import ScriptSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class TorchScript(Runtime):
    """``torch.jit.load``. Loading a TorchScript archive executes code in it; check only files that you would run."""

    name = "torchscript"
    format = "torchscript"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; TF32 does not apply."""
        del model
        return ScriptSession(data, self.name, torch.device("cpu"), options)


RUNTIME = TorchScript()
