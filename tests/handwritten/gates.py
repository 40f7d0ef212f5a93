"""One NALU cell with every kind of gate, and every spelling of what the gate leaves to the product."""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from tests.handwritten.training import builders

EPS = 1e-8


class _Cell(nn.Module):
    """``a = x Wᵀ`` and ``m = exp(log(|x| + 1e-8) Wᵀ)``; a subclass mixes the two."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.randn(o, i))
        self.m_hat = nn.Parameter(torch.randn(o, i))
        self.make_gate(i, o)

    def make_gate(self, i: int, o: int) -> None:
        self.G = nn.Parameter(torch.randn(o, i))

    def sum_and_product(self, x: Tensor) -> tuple[Tensor, Tensor]:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        return F.linear(x, w), torch.exp(F.linear(torch.log(torch.abs(x) + EPS), w))


class Lerp(_Cell):
    """``torch.lerp(m, a, g)``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        return torch.lerp(m, a, torch.sigmoid(F.linear(x, self.G)))


class LerpWrittenOut(_Cell):
    """``m + g·(a − m)``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(F.linear(x, self.G))
        return m + g * (a - m)


class Rsub(_Cell):
    """``torch.rsub(g, 1)``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + torch.rsub(g, 1) * m


class NegPlusOne(_Cell):
    """``g.neg() + 1``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + (g.neg() + 1) * m


class OnesLike(_Cell):
    """``torch.ones_like(g) - g``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + (torch.ones_like(g) - g) * m


class StoredRest(_Cell):
    """``rest = 1.0 - g``, kept in a variable and used later."""

    def forward(self, x: Tensor) -> Tensor:
        g = torch.sigmoid(F.linear(x, self.G))
        rest = 1.0 - g
        a, m = self.sum_and_product(x)
        total = a * g
        return total + m * rest


class SoftmaxGate(_Cell):
    """A softmax over two logits, both linear in x: ``σ`` of their difference and what it leaves."""

    def make_gate(self, i: int, o: int) -> None:
        self.gate_a = nn.Linear(i, o, bias=False)
        self.gate_m = nn.Linear(i, o, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        shares = torch.softmax(torch.stack([self.gate_a(x), self.gate_m(x)], dim=-1), dim=-1)
        return shares[..., 0] * a + shares[..., 1] * m


class LogSigmoidGate(_Cell):
    """``exp(logsigmoid(z))·a + exp(logsigmoid(−z))·m``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        z = F.linear(x, self.G)
        return torch.exp(F.logsigmoid(z)) * a + torch.exp(F.logsigmoid(-z)) * m


class SoftplusGate(_Cell):
    """``softplus(z)·a + softplus(−z)·m``: two gates that need not sum to 1."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        z = F.linear(x, self.G)
        return F.softplus(z) * a + F.softplus(-z) * m


class LinearGate(_Cell):
    """The gate is an ``nn.Linear`` with a bias."""

    def make_gate(self, i: int, o: int) -> None:
        self.gate = nn.Linear(i, o)

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(self.gate(x))
        return g * a + (1 - g) * m


class ModuleForms(LinearGate):
    """``nn.Sigmoid`` and ``nn.Tanh`` in place of the functions."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__(i, o)
        self.sigmoid, self.tanh = nn.Sigmoid(), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        w = self.tanh(self.w_hat) * self.sigmoid(self.m_hat)
        g = self.sigmoid(self.gate(x))
        m: Tensor = g * F.linear(x, w) + (1 - g) * torch.exp(F.linear(torch.log(x.abs() + EPS), w))
        return m


class NumberGate(_Cell):
    """``g = σ(G)`` of one number, whatever x is."""

    def make_gate(self, i: int, o: int) -> None:
        self.G = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(self.G)
        return g * a + (1 - g) * m


class RowGate(_Cell):
    """``G`` has one row: one gate for each sample, shared by its outputs."""

    def make_gate(self, i: int, o: int) -> None:
        self.G = nn.Parameter(torch.randn(1, i))

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + (1 - g) * m


class HardGate(_Cell):
    """``where(g > 0.5, a, m)``."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        return torch.where(torch.sigmoid(F.linear(x, self.G)) > 0.5, a, m)


class WeightNormGate(LinearGate):
    """``torch.nn.utils.parametrizations.weight_norm`` on the gate."""

    def make_gate(self, i: int, o: int) -> None:
        self.gate = parametrizations.weight_norm(nn.Linear(i, o))


class OldWeightNormGate(LinearGate):
    """``torch.nn.utils.weight_norm`` on the gate: deprecated, and in many checkpoints."""

    def make_gate(self, i: int, o: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.gate = nn.utils.weight_norm(nn.Linear(i, o))


_CLASSES = (
    Lerp, LerpWrittenOut, Rsub, NegPlusOne, OnesLike, StoredRest, SoftmaxGate, LogSigmoidGate, SoftplusGate, LinearGate,
    ModuleForms, NumberGate, RowGate, HardGate, WeightNormGate, OldWeightNormGate,
)  # fmt: skip


CELLS = builders(_CLASSES, 3, 2)
