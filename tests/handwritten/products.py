"""Products that are not ``exp(log(|x| + ε) Wᵀ)``: powers, signs, the NMU, complex exponents, quotients and roots."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.handwritten.training import builders

EPS = 1e-7


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
        w = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * F.linear(x, w) + (1 - g) * self.product(x, w)


class PowerProduct(_Cell):
    """``Π_i (|x_i| + ε) ** W_oi``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.prod((torch.abs(x) + EPS).unsqueeze(-2) ** w, dim=-1)


class TorchPow(_Cell):
    """The same with ``torch.pow`` and ``Tensor.prod``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.pow(torch.abs(x)[:, None, :] + EPS, w).prod(2)


class ClampedExponent(_Cell):
    """``exp(clamp(log(max(|x|, ε)) Wᵀ, −20, 20))``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        exponent = F.linear(torch.log(torch.clamp(torch.abs(x), min=EPS)), w)
        return torch.exp(torch.clamp(exponent, -20.0, 20.0))


class SignProduct(_Cell):
    """``exp(log(|x| + ε) Wᵀ) · Π_i (sign(x_i)·|W_oi| + 1 − |W_oi|)``: the product keeps the sign of its factors."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        size = torch.exp(F.linear(torch.log(torch.abs(x) + EPS), w))
        strength = torch.abs(w)
        return size * torch.prod(torch.sign(x).unsqueeze(1) * strength + 1 - strength, dim=-1)


class AllSigns(_Cell):
    """``exp(log(|x| + ε) Wᵀ) · Π_i sign(x_i)``."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        size = torch.exp(F.linear(torch.log(torch.abs(x) + EPS), w))
        return size * torch.sign(x).prod(dim=1, keepdim=True)


class LogOnePlus(_Cell):
    """``expm1(log1p(|x|) |W|ᵀ)``: no ε, and exact at zero."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.expm1(F.linear(torch.log1p(torch.abs(x)), w.abs()))


class SinhProduct(_Cell):
    """``sinh(asinh(x) Wᵀ)``: keeps signs."""

    def product(self, x: Tensor, w: Tensor) -> Tensor:
        return torch.sinh(F.linear(torch.asinh(x), w))


class Nmu(nn.Module):
    """``y_o = Π_i (x_i W_oi + 1 − W_oi)``, ``W = clamp(w, 0, 1)``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(o, i))

    def forward(self, x: Tensor) -> Tensor:
        W = torch.clamp(self.w, 0, 1)
        return torch.prod(x.unsqueeze(1) * W + 1 - W, dim=-1)


class NmuGrouped(Nmu):
    """The same as ``x·W + (1 − W)``, with (in, out) weights and ``Tensor.clamp``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__(o, i)

    def forward(self, x: Tensor) -> Tensor:
        W = self.w.clamp(0.0, 1.0)
        return (x.unsqueeze(2) * W + (1 - W)).prod(dim=1)


class Npu(nn.Module):
    """``y = exp(log(r) W_re − k W_im) · cos(k W_re + log(r) W_im)``, weights (in, out).

    ``r = g·(|x| + ε) + 1 − g``, ``k = g·π`` where ``x < 0`` and 0 elsewhere, ``g`` clamped to [0, 1].
    """

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_re = nn.Parameter(torch.randn(i, o))
        self.bend = nn.Parameter(torch.zeros(i, o))
        self.relevance = nn.Parameter(torch.full((i,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        g = torch.clamp(self.relevance + 0.5, 0.0, 1.0)
        r = torch.log(g * (torch.abs(x) + EPS) + (1 - g))
        k = torch.where(x < 0, g * math.pi, 0.0)
        return torch.exp(r @ self.W_re - k @ self.bend) * torch.cos(k @ self.W_re + r @ self.bend)


class RealNpu(Npu):
    """The same with a real exponent: ``exp(log(r) W_re) · cos(k W_re)``."""

    def forward(self, x: Tensor) -> Tensor:
        g = torch.clamp(self.relevance + 0.5, 0.0, 1.0)
        r = g * (torch.abs(x) + EPS) + (1 - g)
        k = (x < 0).to(x.dtype) * math.pi * g
        return torch.exp(torch.log(r) @ self.W_re) * torch.cos(k @ self.W_re)


class Quotient(nn.Module):
    """``(x Aᵀ) / (|x| |B|ᵀ + ε)``: division without logarithm or exponential."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.weight_top = nn.Parameter(torch.randn(o, i))
        self.weight_bottom = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        a = F.linear(x, torch.tanh(self.weight_top))
        b = F.linear(x.abs(), torch.tanh(self.weight_bottom).abs())
        return a / (b + 1e-5)


class Root(nn.Module):
    """``sqrt(relu(x Wᵀ) + ε)``."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.randn(o, i))
        self.m_hat = nn.Parameter(torch.randn(o, i))

    def forward(self, x: Tensor) -> Tensor:
        s = F.linear(x, torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat))
        return torch.sqrt(F.relu(s) + 1e-6)


_MIXED = (PowerProduct, TorchPow, ClampedExponent, SignProduct, AllSigns, LogOnePlus, SinhProduct, Quotient, Root)
_DIRECT = (Nmu, NmuGrouped, Npu, RealNpu)

CELLS = {**builders(_MIXED, 3, 2), **builders(_DIRECT, 3, 2, direct=True)}
