"""One NALU cell in every spelling of its matrix products: ``y = g·(x Wᵀ) + (1 − g)·exp(log(|x| + ε) Wᵀ)``.

``W = tanh(ŵ)·σ(m̂)`` and ``g = σ(x Gᵀ)`` in all of them, so that with equal weights all are one function.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.handwritten.training import builders


class A(nn.Module):
    """Weights (out, in), ``F.linear``; the cell that all others are compared with."""

    def __init__(self, i: int, o: int, eps: float = 1e-7) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.empty(o, i))
        self.m_hat = nn.Parameter(torch.empty(o, i))
        self.G = nn.Parameter(torch.empty(o, i))
        self.eps = eps
        for parameter in self.parameters():
            nn.init.xavier_uniform_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid(F.linear(x, self.G))
        return g * F.linear(x, w) + (1 - g) * torch.exp(F.linear(torch.log(torch.abs(x) + self.eps), w))


class Turned(nn.Module):
    """Weights (in, out), ``x @ w``."""

    def __init__(self, i: int, o: int, eps: float = 1e-7) -> None:
        super().__init__()
        self.eps = eps
        self.W_hat = nn.Parameter(torch.randn(i, o))
        self.M_hat = nn.Parameter(torch.randn(i, o))
        self.G = nn.Parameter(torch.randn(i, o))

    def weight(self) -> Tensor:
        """``tanh(Ŵ)·σ(M̂)``, (in, out)."""
        return self.W_hat.tanh() * self.M_hat.sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight()
        a = x @ w
        m = torch.exp(torch.log(x.abs() + self.eps) @ w)
        g = torch.sigmoid(x @ self.G)
        return g * a + (1 - g) * m


class TorchMm(Turned):
    """``torch.mm`` and ``Tensor.mm`` with (in, out)."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight()
        g = torch.sigmoid(x.mm(self.G))
        return g * torch.mm(x, w) + (1 - g) * torch.mm((x.abs() + self.eps).log(), w).exp()


class TorchMatmul(Turned):
    """``torch.matmul`` with (in, out)."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight()
        g = torch.matmul(x, self.G).sigmoid()
        return g * torch.matmul(x, w) + (1 - g) * torch.exp(torch.matmul(torch.log(torch.abs(x) + self.eps), w))


class LinearOfT(Turned):
    """``F.linear`` with the transpose of (in, out)."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight().T
        g = torch.sigmoid(F.linear(x, self.G.T))
        return g * F.linear(x, w) + (1 - g) * torch.exp(F.linear(torch.log(torch.abs(x) + self.eps), w))


class TMethod(A):
    """``x @ w.t()``."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid(x @ self.G.t())
        return g * (x @ w.t()) + (1 - g) * torch.exp(torch.log(torch.abs(x) + self.eps) @ w.t())


class Transposed(A):
    """``x.matmul(w.transpose(0, 1))``, the transpose taken of the raw parameters for the gate."""

    def forward(self, x: Tensor) -> Tensor:
        w = (torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)).transpose(0, 1)
        g = torch.sigmoid(x.matmul(torch.transpose(self.G, 0, 1)))
        return g * x.matmul(w) + (1 - g) * torch.exp(torch.log(torch.abs(x) + self.eps).matmul(w))


class Permuted(A):
    """``x @ w.permute(1, 0)`` and ``.mT``."""

    def forward(self, x: Tensor) -> Tensor:
        w = (torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)).permute(1, 0)
        g = torch.sigmoid(x @ self.G.mT)
        return g * (x @ w) + (1 - g) * torch.exp(torch.log(torch.abs(x) + self.eps) @ w)


class EinsumOutIn(A):
    """``einsum("bi,oi->bo")``."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid(torch.einsum("bi,oi->bo", x, self.G))
        m = torch.exp(torch.einsum("bi,oi->bo", torch.log(torch.abs(x) + self.eps), w))
        return g * torch.einsum("bi,oi->bo", x, w) + (1 - g) * m


class EinsumInOut(Turned):
    """``einsum("bi,io->bo")``."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.weight()
        g = torch.sigmoid(torch.einsum("bi,io->bo", x, self.G))
        m = torch.exp(torch.einsum("bi,io->bo", torch.log(torch.abs(x) + self.eps), w))
        return g * torch.einsum("bi,io->bo", x, w) + (1 - g) * m


class EinsumAnyRank(A):
    """``einsum("...i,oi->...o")``, which takes inputs of any rank."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid(torch.einsum("...i,oi->...o", x, self.G))
        m = torch.exp(torch.einsum("...i,oi->...o", torch.log(torch.abs(x) + self.eps), w))
        return g * torch.einsum("...i,oi->...o", x, w) + (1 - g) * m


class Addmm(A):
    """``torch.addmm(bias, x, w.t())`` with a bias of zeros that is a buffer."""

    zero: Tensor

    def __init__(self, i: int, o: int, eps: float = 1e-7) -> None:
        super().__init__(i, o, eps)
        self.register_buffer("zero", torch.zeros(o))

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid(torch.addmm(self.zero, x, self.G.t()))
        m = torch.exp(torch.addmm(self.zero, torch.log(torch.abs(x) + self.eps), w.t()))
        return g * torch.addmm(self.zero, x, w.t()) + (1 - g) * m


class BroadcastSum(A):
    """``(x.unsqueeze(1) * w).sum(-1)``: no matrix product at all."""

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        g = torch.sigmoid((x.unsqueeze(1) * self.G).sum(-1))
        m = torch.exp((torch.log(torch.abs(x) + self.eps).unsqueeze(1) * w).sum(dim=-1))
        return g * torch.sum(x.unsqueeze(1) * w, dim=-1) + (1 - g) * m


class Bmm(A):
    """``torch.bmm`` of a batch of one with a constant."""

    def forward(self, x: Tensor) -> Tensor:
        w = (torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)).t().unsqueeze(0)
        g = torch.sigmoid(torch.bmm(x.unsqueeze(0), self.G.t().unsqueeze(0)).squeeze(0))
        m = torch.exp(torch.bmm(torch.log(torch.abs(x) + self.eps).unsqueeze(0), w).squeeze(0))
        return g * torch.bmm(x.unsqueeze(0), w).squeeze(0) + (1 - g) * m


_CLASSES = (
    A, Turned, TorchMm, TorchMatmul, LinearOfT, TMethod, Transposed, Permuted, EinsumOutIn, EinsumInOut, EinsumAnyRank,
    Addmm, BroadcastSum, Bmm,
)  # fmt: skip


CELLS = builders(_CLASSES, 3, 2)
