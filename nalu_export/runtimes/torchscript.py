"""TorchScript in PyTorch, on the CPU."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export import _jit
from nalu_export.errors import InputError, first_line
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class _ScriptSession(Session):
    def __init__(self, module: torch.jit.ScriptModule) -> None:
        self._module = module
        self.where = f"torch {torch.__version__}, TorchScript, CPU"

    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        try:
            with torch.no_grad():
                result = self._module(torch.from_numpy(x))
        except RuntimeError as error:
            raise InputError(f"TorchScript: {first_line(error)}") from error
        if not isinstance(result, torch.Tensor):
            raise InputError(f"TorchScript: the module returns {type(result).__name__}, not a tensor")
        array: NDArray[np.generic] = result.numpy()
        return array


class TorchScript(Runtime):
    """``torch.jit.load``. Loading a TorchScript archive runs what is in it; check only what you would run."""

    name = "torchscript"
    format = "torchscript"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model, options
        try:
            return _ScriptSession(_jit.load(data).eval())
        except RuntimeError as error:
            raise InputError(f"torchscript refuses the file: {first_line(error)}") from error


RUNTIME = TorchScript()
