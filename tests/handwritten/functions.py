"""Arithmetic with other functions for the same thing: bases 2 and 10, squares, reciprocals, roots."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.handwritten.training import builders

EPS = 1e-8


class _Cell(nn.Module):
    """``y = g·(x Wᵀ) + (1 − g)·product(x, W)``, ``W = tanh(Ŵ)·σ(M̂)``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.randn(o, i))
        self.M_hat = nn.Parameter(torch.randn(o, i))
        self.G = nn.Parameter(torch.randn(o, i))

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        w = self.W_hat.tanh() * self.M_hat.sigmoid()
        g = F.linear(x, self.G).sigmoid()
        return g * F.linear(x, w) + (1 - g) * self.product(x, w)


class BaseTwo(_Cell):
    """``exp2(log2(|x| + ε) Wᵀ)``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.exp2(F.linear(torch.log2(torch.abs(x) + EPS), w))


class BaseTen(_Cell):
    """``10 ** (log10(|x| + ε) Wᵀ)``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return 10 ** F.linear(torch.log10(torch.abs(x) + EPS), w)


class PowTwo(_Cell):
    """``exp(½·log(x.pow(2) + ε²) Wᵀ)``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.exp(F.linear(0.5 * torch.log(x.pow(2) + EPS * EPS), w))


class Squares(_Cell):
    """``sqrt(exp(log(square(x) + ε²) Wᵀ))``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.exp(F.linear(torch.log(torch.square(x) + EPS * EPS), w)).sqrt()


class Rsqrt(nn.Module):
    """``(x Wᵀ) · rsqrt(x² Vᵀ + ε)``: a sum over a length, ``V = σ(v̂)``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.randn(o, i))
        self.v_hat = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        length = F.linear(x * x, torch.sigmoid(self.v_hat))
        return F.linear(x, torch.tanh(self.w_hat)) * torch.rsqrt(length + 1e-6)


class Reciprocal(nn.Module):
    """``(x Wᵀ) · reciprocal(exp(x Gᵀ) + 1)``: a logistic gate, written out."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.randn(o, i))
        self.G = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        opening = torch.exp(F.linear(x, self.G).clamp(-30.0, 30.0)) + 1
        return F.linear(x, torch.tanh(self.w_hat)) * torch.reciprocal(opening)


class Inverses(_Cell):
    """``exp(log(1 / (|x| + ε)) (−W)ᵀ)``: the product by way of reciprocals."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.exp(F.linear(torch.log((torch.abs(x) + EPS).reciprocal()), -w))


class Addcmul(_Cell):
    """``torch.addcmul(g·a, 1 − g, m)``."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.W_hat.tanh() * self.M_hat.sigmoid()
        g = F.linear(x, self.G).sigmoid()
        m = torch.exp(F.linear(torch.log(torch.abs(x) + EPS), w))
        return torch.addcmul(g * F.linear(x, w), 1 - g, m)


_CLASSES = (BaseTwo, BaseTen, PowTwo, Squares, Rsqrt, Reciprocal, Inverses, Addcmul)


CELLS = builders(_CLASSES, 3, 2)
