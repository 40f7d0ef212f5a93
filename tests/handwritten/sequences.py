"""Models that take a sequence, ``(batch, time, features)`` or ``(batch, channels, time)``."""

import torch
from torch import Tensor, nn

from nalu_export import NALU, NALUCell
from tests.handwritten.structures import Cell


class Loop(nn.Module):
    """A GRU-like loop around one cell, ``h = (1 − z)·h + z·tanh(cell([x_t, h]))``; h starts as ``new_zeros``."""

    def __init__(self) -> None:
        super().__init__()
        self.update = nn.Linear(8, 4)
        self.cell = NALUCell(8, 4)

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.start(x)
        for t in range(x.shape[1]):
            joined = torch.cat([x[:, t], h], dim=-1)
            z = torch.sigmoid(self.update(joined))
            h = (1 - z) * h + z * torch.tanh(self.cell(joined))
        return h


class LoopZerosLike(Loop):
    """The same from ``torch.zeros_like``."""

    def start(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, 0])


class LoopTorchZeros(Loop):
    """``torch.zeros(x.shape[0], 4)``, float32 whatever x is: the module does not run in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.from_h = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            h = torch.tanh(self.from_h(h) + self.cell(torch.cat([x[:, t], h], dim=-1)))
        return h


class LoopFixed(nn.Module):
    """A loop of three steps with a cell written by hand and no state of its own making: ``h = x_0``."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = x[:, 0]
        for t in range(1, 3):
            h = x[:, t] + torch.tanh(self.cell(h))
        return h


class LastStep(nn.Module):
    """``nn.LSTM`` or ``nn.GRU``, and a NALU on its last output."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.recurrent = nn.LSTM(4, 5, batch_first=True) if kind == "LSTM" else nn.GRU(4, 5, batch_first=True)
        self.head = NALU(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.recurrent(x)
        y: Tensor = self.head(out[:, -1])
        return y


class Attention(nn.Module):
    """``nn.MultiheadAttention`` of the sequence with itself, the mean over time, and a NALU."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = NALU(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.attention(x, x, x, need_weights=False)
        y: Tensor = self.head(out.mean(dim=1))
        return y


def conv1d() -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), NALU(6, 2))


def every_step() -> nn.Module:
    """A NALU at each step of the sequence: an input of rank 3."""
    return nn.Sequential(nn.Linear(4, 3), NALU(3, 2))
