"""One NALU cell in every spelling of the magnitude inside its logarithm; ε differs, as in public code."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.handwritten.training import builders


class _Cell(nn.Module):
    """``y = g·(x Wᵀ) + (1 − g)·exp(log(magnitude(x)) Wᵀ)``; a subclass says what the magnitude is."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.randn(o, i))
        self.M_hat = nn.Parameter(torch.randn(o, i))
        self.G = nn.Parameter(torch.randn(o, i))

    def magnitude(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        a = F.linear(x, w)
        m = torch.exp(F.linear(torch.log(self.magnitude(x)), w))
        g = torch.sigmoid(F.linear(x, self.G))
        return g * a + (1 - g) * m


class EpsAdded(_Cell):
    """``|x| + 1e-10``: the published spelling, and the constant that the default exporter deletes."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.abs(x) + 1e-10


class EpsTiny(_Cell):
    """``|x| + 1e-12``."""

    def magnitude(self, x: Tensor) -> Tensor:
        return x.abs() + 1e-12


class EpsLarge(_Cell):
    """``1e-2 + |x|``."""

    def magnitude(self, x: Tensor) -> Tensor:
        return 1e-2 + torch.abs(x)


class EpsClamp(_Cell):
    """``abs(x).clamp(min=1e-10)``."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.abs(x).clamp(min=1e-10)


class EpsClampMin(_Cell):
    """``torch.clamp_min(|x|, 1e-8)``."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.clamp_min(torch.abs(x), 1e-8)


class EpsMaximum(_Cell):
    """``torch.maximum(|x|, ε)`` with ε a buffer."""

    eps: Tensor

    def __init__(self, i: int, o: int) -> None:
        super().__init__(i, o)
        self.register_buffer("eps", torch.tensor(1e-10))

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.maximum(torch.abs(x), self.eps)


class EpsBuffer(EpsMaximum):
    """``|x| + ε`` with ε a buffer."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.abs(x) + self.eps


class EpsWhere(_Cell):
    """``where(|x| < ε, ε, |x|)``."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() < 1e-8, 1e-8, x.abs())


class EpsTwice(_Cell):
    """``max(|x|, 1e-7) + 1e-8``: a clamp and an addition."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.clamp(torch.abs(x), 1e-7) + 1e-8


class EpsInside(_Cell):
    """``sqrt(x² + 1e-16)``: smooth at zero, where it is 1e-8."""

    def magnitude(self, x: Tensor) -> Tensor:
        return torch.sqrt(x**2 + 1e-16)


class MethodChain(_Cell):
    """``x.abs().add(eps).log()`` and methods all through."""

    def forward(self, x: Tensor) -> Tensor:
        w = self.W_hat.tanh().mul(self.M_hat.sigmoid())
        m = x.abs().add(1e-10).log().matmul(w.t()).exp()
        g = x.matmul(self.G.t()).sigmoid()
        return g.mul(x.matmul(w.t())).add(g.neg().add(1).mul(m))


_CLASSES = (
    EpsAdded, EpsTiny, EpsLarge, EpsClamp, EpsClampMin, EpsMaximum, EpsBuffer, EpsWhere, EpsTwice, EpsInside,
    MethodChain,
)  # fmt: skip


CELLS = builders(_CLASSES, 3, 2)
