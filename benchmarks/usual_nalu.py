"""The peer: a NALU as it is usually written in PyTorch, and the default path from it to ONNX.

Imports torch and nothing else, so that a process that only exports it starts as fast as it can.
"""

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UsualNALUCell(nn.Module):
    """``y = g·a + (1 − g)·m`` with ``g = σ(x Gᵀ)``, and the effective weight computed in ``forward``.

    Parameters have the names and shapes of :class:`nalu_export.NALUCell`, so that one state_dict fits both.
    """

    def __init__(self, in_features: int, out_features: int, eps: float = 1e-10) -> None:
        super().__init__()
        self.eps = eps
        self.W_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.M_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.G = nn.Parameter(torch.empty(out_features, in_features))
        for parameter in (self.W_hat, self.M_hat, self.G):
            nn.init.kaiming_uniform_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in_features)`` → ``(..., out_features)``."""
        W = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        a = F.linear(x, W)
        m = torch.exp(F.linear(torch.log(torch.abs(x) + self.eps), W))
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + (1 - g) * m


class UsualNALU(nn.Module):
    """A stack of :class:`UsualNALUCell`, named like :class:`nalu_export.NALU`."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        cells = [UsualNALUCell(inputs, outputs) for inputs, outputs in pairwise(dims)]
        self.layers = nn.ModuleList(cells)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., dims[0])`` → ``(..., dims[-1])``."""
        for layer in self.layers:
            x = layer(x)
        return x


def default_export(model: nn.Module, in_features: int, path: Path, *, optimize: bool = True) -> None:
    """What a user does today: ``torch.onnx.export(..., dynamo=True)`` with a free batch axis."""
    torch.onnx.export(
        model,
        (torch.ones(2, in_features),),
        path,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        optimize=optimize,
        verbose=False,  # the progress lines only; it changes nothing in the file
    )
