"""Cells whose arithmetic is spread over containers, helpers, in-place updates and reshaped tensors."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.handwritten.training import builders

EPS = 1e-8


def effective(W_hat: Tensor, M_hat: Tensor) -> Tensor:
    """``tanh(Ŵ)·σ(M̂)``: a helper outside of any class."""
    return torch.tanh(W_hat) * torch.sigmoid(M_hat)


def log_magnitude(x: Tensor, eps: float = EPS) -> Tensor:
    """``log(|x| + ε)``: another, with a default argument."""
    return torch.log(torch.abs(x) + eps)


class Cell(nn.Module):
    """``y = g·(x Wᵀ) + (1 − g)·exp(log(|x| + ε) Wᵀ)`` by way of helper functions."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.randn(o, i))
        self.M_hat = nn.Parameter(torch.randn(o, i))
        self.G = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * F.linear(x, W) + (1 - g) * torch.exp(F.linear(log_magnitude(x), W))


class NestedNac(nn.Module):
    """``x Wᵀ``, used by the cell below for its sum and for its product."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.randn(o, i))
        self.M_hat = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, effective(self.W_hat, self.M_hat))


class Nested(nn.Module):
    """A NALU that owns a NAC and calls it twice."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.G = nn.Parameter(torch.randn(o, i))
        self.nac = NestedNac(i, o)

    def forward(self, x: Tensor) -> Tensor:
        g = torch.sigmoid(F.linear(x, self.G))
        y: Tensor = g * self.nac(x) + (1 - g) * torch.exp(self.nac(log_magnitude(x)))
        return y


class InPlace(Cell):
    """``*=`` and ``+=``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        g = torch.sigmoid(F.linear(x, self.G))
        y = F.linear(x, W)
        y *= g
        m = torch.exp(F.linear(log_magnitude(x), W))
        m *= 1 - g
        y += m
        return y


class InPlaceMethods(Cell):
    """``abs().add_().log_()`` and ``mul_``."""

    def forward(self, x: Tensor) -> Tensor:
        W = torch.tanh(self.W_hat).mul_(torch.sigmoid(self.M_hat))
        g = F.linear(x, self.G).sigmoid_()
        m = F.linear(x.abs().add_(EPS).log_(), W).exp_()
        return F.linear(x, W).mul_(g).add_(m.mul_(1 - g))


class Lists(nn.Module):
    """Two cells, 3 → 4 → 2, from ``nn.ParameterList``."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        shapes = [(o, i) for i, o in pairwise(dims)]
        self.w_hats = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])
        self.m_hats = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])
        self.gates = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        for w_hat, m_hat, gate in zip(self.w_hats, self.m_hats, self.gates, strict=True):
            W = effective(w_hat, m_hat)
            g = torch.sigmoid(F.linear(x, gate))
            x = g * F.linear(x, W) + (1 - g) * torch.exp(F.linear(log_magnitude(x), W))
        return x


class Modules(nn.Module):
    """Two cells from ``nn.ModuleList``."""

    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Cell(i, o) for i, o in pairwise(dims)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


class Named(nn.Module):
    """A sum and a product from ``nn.ModuleDict``, added."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.paths = nn.ModuleDict({"add": NestedNac(i, o), "multiply": NestedNac(i, o)})

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.paths["add"](x) + torch.exp(self.paths["multiply"](log_magnitude(x)))
        return y


class StackSum(Cell):
    """The two paths put together with ``torch.stack`` and ``sum``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        g = torch.sigmoid(F.linear(x, self.G))
        m = torch.exp(F.linear(log_magnitude(x), W))
        return torch.stack([g * F.linear(x, W), (1 - g) * m], dim=0).sum(dim=0)


class CatInputs(nn.Module):
    """A NAC of x beside the product of x: ``torch.cat([x Wᵀ, exp(log(|x| + ε) Wᵀ)], −1)``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.nac = NestedNac(i, o)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.nac(x), torch.exp(self.nac(log_magnitude(x)))], dim=-1)


class SplitWeights(nn.Module):
    """All raw parameters in one tensor (3·out, in), taken apart with ``torch.split``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.out = o
        self.gates = nn.Parameter(torch.randn(3 * o, i))

    def forward(self, x: Tensor) -> Tensor:
        W_hat, M_hat, G = torch.split(self.gates, self.out, dim=0)
        W = effective(4 * W_hat, 4 * M_hat)
        g = torch.sigmoid(F.linear(x, G))
        return g * F.linear(x, W) + (1 - g) * torch.exp(F.linear(log_magnitude(x), W))


class ChunkOutputs(Cell):
    """One matrix product for the sum and the gate, taken apart with ``chunk``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        a, z = F.linear(x, torch.cat([W, self.G])).chunk(2, dim=-1)
        g = torch.sigmoid(z)
        return g * a + (1 - g) * torch.exp(F.linear(log_magnitude(x), W))


class Slices(Cell):
    """The first two inputs are added, the others multiplied: ``x[:, :2]`` and ``x[..., 2:]``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        m = torch.exp(F.linear(log_magnitude(x[..., 2:]), W[:, 2:]))
        return F.linear(x[:, :2], W[:, :2]) + m


class Columns(Cell):
    """Columns by number: two are added, the third gets its exponent with ``**``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        a = x[:, 0:1] * W[:, 0] + x[:, 1:2] * W[:, 1]
        return a + (x[:, 2:3].abs() + EPS) ** W[:, 2]


class ColumnVectors(Cell):
    """``W @ x`` with x as column vectors: ``view``, ``unsqueeze``, ``squeeze``."""

    def forward(self, x: Tensor) -> Tensor:
        W = effective(self.W_hat, self.M_hat)
        g = torch.sigmoid(torch.matmul(self.G, x.unsqueeze(-1))).squeeze(-1)
        a = torch.matmul(W, x.view(-1, 3, 1)).squeeze(-1)
        m = torch.exp(torch.matmul(W, log_magnitude(x).reshape(-1, 3, 1))).flatten(1)
        return g * a + (1 - g) * m


class ThreeOperands(Cell):
    """``einsum`` of the inputs and both factors of the weight."""

    def forward(self, x: Tensor) -> Tensor:
        a = torch.einsum("bi,oi,oi->bo", x, torch.tanh(self.W_hat), torch.sigmoid(self.M_hat))
        return a + torch.exp(log_magnitude(x) @ effective(self.W_hat, self.M_hat).T)


_CLASSES = (
    Nested, InPlace, InPlaceMethods, Named, StackSum, CatInputs, SplitWeights, ChunkOutputs, Slices, Columns,
    ColumnVectors, ThreeOperands,
)  # fmt: skip

CELLS = {"Helpers": builders((Cell,), 3, 2)["Cell"], **builders(_CLASSES, 3, 2), **builders((Lists, Modules), 3, 4, 2)}
