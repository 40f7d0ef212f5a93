"""PyTorch itself, in float32 on the CPU: the model as its user runs it."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export.runtimes.base import RunOptions, Runtime, Session


class _EagerSession(Session):
    def __init__(self, model: nn.Module) -> None:
        self._model = copy.deepcopy(model).eval()
        self.where = f"torch {torch.__version__}, eager, CPU"

    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        with torch.no_grad():
            array: NDArray[np.generic] = self._model(torch.from_numpy(x)).numpy()
        return array


class Torch(Runtime):
    """Eager PyTorch. It computes the effective weights in float32 in every forward."""

    name = "torch"
    format = None
    own_weights = True

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; the artifact plays no part."""
        del data, options
        return _EagerSession(model)


RUNTIME = Torch()
