"""The two public implementations that this project started from, with their structure and in our own words.

``shivamsaboo17``: a faux NAC (W is computed once, in ``__init__``), a NALU around it, stacks of both, and
``BuildHead``, which puts a stack behind a CNN. ``vrxacs``: a NAC, a faux NAC and a NALU with one gate for each sample.
This file needs torch alone, so that it can be given as ``--model public.py:build_head``.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE = (3, 16, 16)


class NacCell(nn.Module):
    """shivamsaboo17: ``y = x Wᵀ``, ``W`` of raw values that are neither trained nor stored."""

    def __init__(self, in_shape: int, out_shape: int) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.W_hat = torch.randn(out_shape, in_shape)
        self.M_hat = torch.randn(out_shape, in_shape)
        self.W = nn.Parameter(torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.W)


class NaluCell(nn.Module):
    """shivamsaboo17: ``y = g·nac(x) + (1 − g)·exp(log(|x| + 1e-10) Wᵀ)``, ``W`` apart from that of the NAC."""

    def __init__(self, in_shape: int, out_shape: int) -> None:
        super().__init__()
        self.in_shape = in_shape
        self.out_shape = out_shape
        self.G = nn.Parameter(torch.randn(out_shape, in_shape))
        self.W = nn.Parameter(torch.randn(out_shape, in_shape))
        self.nac = NacCell(in_shape, out_shape)
        self.eps = 1e-10

    def forward(self, x: Tensor) -> Tensor:
        a = self.nac(x)
        g = torch.sigmoid(F.linear(x, self.G))
        ag = g * a
        log_in = torch.log(torch.abs(x) + self.eps)
        m = torch.exp(F.linear(log_in, self.W))
        md = (1 - g) * m
        y: Tensor = ag + md
        return y


class Stack(nn.Module):
    """shivamsaboo17: cells one after the other under ``model``."""

    def __init__(self, kind: Callable[[int, int], nn.Module], dims: Sequence[int]) -> None:
        super().__init__()
        layers = [kind(dims[k], dims[k + 1]) for k in range(len(dims) - 1)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class AdaptiveModule(nn.Module):
    """shivamsaboo17: a 1×1 convolution to the head's width, then the mean over the image."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pool(self.conv(x))
        return y


class BuildHead(nn.Module):
    """shivamsaboo17: CNN → 1×1 convolution → mean → flatten → NAC or NALU → ``log_softmax`` for classification."""

    def __init__(
        self,
        conv_model: nn.Module,
        op_channels: int,
        hidden_dims: Sequence[int],
        task: str = "classification",
        num_outputs: int = 1,
        head_type: str = "NALU",
    ) -> None:
        super().__init__()
        if task == "regression":
            num_outputs = 1
        self.task = task
        self.conv_model = conv_model
        self.adaptive_module = AdaptiveModule(op_channels, hidden_dims[0])
        dims = [*hidden_dims, num_outputs]
        self.head = Stack(NaluCell if head_type == "NALU" else NacCell, dims)

    def forward(self, x: Tensor) -> Tensor:
        out = self.adaptive_module(self.conv_model(x))
        out = out.view(out.size(0), -1)
        y: Tensor = self.head(out)
        if self.task == "classification":
            return F.log_softmax(y, dim=1)
        return y


class NAC(nn.Module):
    """vrxacs: ``y = x Wᵀ``, ``W = tanh(W_hat)·σ(M_hat)``."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.randn(n_out, n_in))
        self.M_hat = nn.Parameter(torch.randn(n_out, n_in))

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        return F.linear(x, weights)


class FauxNAC(NAC):
    """vrxacs: the same with the weights computed in ``__init__`` and stored."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(n_in, n_out)
        self.weights = nn.Parameter(torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weights)


class NALU(nn.Module):
    """vrxacs: ``y = g·NAC(x) + (1 − g)·exp(NAC(log(|x| + 1e-6)))``, ``g = σ(x Gᵀ)`` of one row."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.NAC = NAC(n_in, n_out)
        self.G = nn.Parameter(torch.randn(1, n_in))
        self.eps = 1e-6

    def forward(self, x: Tensor) -> Tensor:
        g = torch.sigmoid(F.linear(x, self.G))
        y1 = g * self.NAC(x)
        y2 = (1 - g) * torch.exp(self.NAC(torch.log(torch.abs(x) + self.eps)))
        y: Tensor = y1 + y2
        return y


def conv_model() -> nn.Sequential:
    """A small CNN: 3 channels → 8."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU()
    )


def build_head() -> nn.Module:
    """A classifier: CNN and two NALU cells."""
    return _trained(lambda: BuildHead(conv_model(), 8, [6, 5], "classification", 4, "NALU"))


def build_nac_head() -> nn.Module:
    """A regressor: CNN and one NAC."""
    return _trained(lambda: BuildHead(conv_model(), 8, [6], "regression", head_type="NAC"))


def build_stack() -> nn.Module:
    """shivamsaboo17's NALU alone, 4 → 3 → 2."""
    return _trained(lambda: Stack(NaluCell, [4, 3, 2]))


def build_nac() -> nn.Module:
    """vrxacs's NAC."""
    return _trained(lambda: NAC(4, 2))


def build_faux_nac() -> nn.Module:
    """vrxacs's faux NAC."""
    return _trained(lambda: FauxNAC(4, 2))


def build_nalu() -> nn.Module:
    """vrxacs's NALU."""
    return _trained(lambda: NALU(4, 2))


def _trained(build: Callable[[], nn.Module]) -> nn.Module:
    """Stored weights near −1, 0 and 1, raw parameters near ±6; everything else as torch initialises it."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = build().eval()
        for name, parameter in model.named_parameters():
            last = name.rpartition(".")[2]
            if last in ("W", "weights"):
                parameter.copy_(torch.randint_like(parameter, -1, 2) + 0.02 * torch.randn_like(parameter))
            elif last in ("W_hat", "M_hat"):
                parameter.copy_(6.0 * torch.randint_like(parameter, -1, 2) + 0.5 * torch.randn_like(parameter))
    return model


# What builds each model, and the shape of one sample.
PUBLIC: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "shivamsaboo17 BuildHead, NALU": (build_head, IMAGE),
    "shivamsaboo17 BuildHead, NAC": (build_nac_head, IMAGE),
    "shivamsaboo17 NALU": (build_stack, (4,)),
    "vrxacs NAC": (build_nac, (4,)),
    "vrxacs faux NAC": (build_faux_nac, (4,)),
    "vrxacs NALU": (build_nalu, (4,)),
}
