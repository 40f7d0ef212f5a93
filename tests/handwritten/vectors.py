"""Models that take a vector and have arithmetic somewhere inside."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from nalu_export import NAC, NALU, NALUCell
from tests.handwritten.structures import Cell


class Twice(nn.Module):
    """``h = cell(x); y = cell(x + h)``: one cell, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.cell(x)
        y: Tensor = self.cell(x + h)
        return y


class FirstLayer(nn.Module):
    """``tanh((x·s + b) V)``: a layer that somebody wrote by hand."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.s = nn.Parameter(torch.ones(i))
        self.b = nn.Parameter(torch.zeros(i))
        self.V = nn.Parameter(torch.randn(i, o))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh((x * self.s + self.b) @ self.V)


class Siamese(nn.Module):
    """``head(x₁) − head(x₂)`` for the two halves of x."""

    def __init__(self) -> None:
        super().__init__()
        self.head = NALU(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(x[:, :3]) - self.head(x[:, 3:])
        return y


class Heads(nn.Module):
    """``Σ_k head_k(relu(trunk(x)))``."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(5, 6)
        self.heads = nn.ModuleList([NALU(6, 2), NAC(6, 2), Cell(6, 2)])

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.trunk(x))
        return torch.stack([head(h) for head in self.heads]).sum(0)


class Residual(nn.Module):
    """``x + cell(x)``, then ``x + relu(linear(x))``, then a NAC."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell(4, 4)
        self.linear = nn.Linear(4, 4)
        self.nac = NAC(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.cell(x)
        x = x + F.relu(self.linear(x))
        y: Tensor = self.nac(x)
        return y


class ByName(nn.Module):
    """Blocks in an ``nn.ModuleDict``, called in the order of a list of names."""

    def __init__(self) -> None:
        super().__init__()
        self.order = ["embed", "multiply", "read"]
        self.blocks = nn.ModuleDict({"read": nn.Linear(3, 1), "embed": nn.Linear(4, 3), "multiply": Cell(3, 3)})

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order:
            x = self.blocks[name](x)
        return x


class InlineMlp(nn.Module):
    """``relu(linear(x))``, a quotient of two linear maps of it, and a linear layer: no class for the arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.top, self.bottom = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.read = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.features(x))
        ratio = self.top(h) / (F.softplus(self.bottom(h)) + 1e-3)
        y: Tensor = self.read(ratio)
        return y


def nac_then_linear() -> nn.Module:
    return nn.Sequential(NAC(4, 3), nn.Linear(3, 2))


def weight_norm_linear() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 3)), nn.Tanh(), NALU(3, 2))


def spectral_norm_linear() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Linear(4, 3)), nn.Tanh(), NALU(3, 2))


def orthogonal_linear() -> nn.Module:
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(4, 3)), nn.Tanh(), NALU(3, 2))


def first_layer() -> nn.Module:
    return nn.Sequential(FirstLayer(4, 3), NALU(3, 2))
