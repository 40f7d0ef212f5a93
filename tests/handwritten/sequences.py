"""Models that take a sequence, ``(batch, time, features)`` or ``(batch, channels, time)``."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


class LstmUpdate(nn.Module):
    """A cell updates the state of an ``nn.LSTMCell``, whose states begin as ``torch.zeros(x.shape[0], 4)``."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.cell = nn.LSTMCell(4, 4), Cell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h, c = torch.zeros(x.shape[0], 4), torch.zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            h, c = self.lstm(x[:, t], (h, c))
            c = self.cell(c)
        return h


class Positions(nn.Module):
    """Sines of the positions, made in ``forward`` and filled in by slices; the mean over time, and a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        made = torch.zeros(x.shape[1], 4)
        position = torch.arange(0, x.shape[1], dtype=torch.float32).unsqueeze(1)
        scale = torch.exp(torch.arange(0, 4, 2).float() * (-math.log(10000.0) / 4))
        made[:, 0::2], made[:, 1::2] = torch.sin(position * scale), torch.cos(position * scale)
        y: Tensor = self.cell((x + made).mean(1))
        return y


class HalfTurns(nn.Module):
    """An NPU: ``(x < 0).float() * math.pi`` is a float32 number whatever the type of x."""

    def __init__(self) -> None:
        super().__init__()
        self.W_re, self.W_im = nn.Parameter(torch.randn(2, 4)), nn.Parameter(torch.randn(2, 4))
        self.g = nn.Parameter(torch.rand(4))

    def forward(self, x: Tensor) -> Tensor:
        g = self.g.clamp(0.0, 1.0)
        r, k = torch.log(x.abs() * g + (1 - g) + 1e-9), (x < 0).float() * math.pi * g
        size = torch.exp(F.linear(r, self.W_re) - F.linear(k, self.W_im))
        return size * torch.cos(F.linear(r, self.W_im) + F.linear(k, self.W_re))


def conv1d() -> nn.Module:
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), NALU(6, 2))


def every_step() -> nn.Module:
    """A NALU at each step of the sequence: an input of rank 3."""
    return nn.Sequential(nn.Linear(4, 3), NALU(3, 2))
