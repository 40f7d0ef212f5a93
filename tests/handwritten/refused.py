"""Models that cannot be exported, each with words that the refusal has to contain."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU
from tests.handwritten.training import network


class ActiveDropout(nn.Module):
    """``F.dropout(h, 0.5)``, whose ``training`` is True unless it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(4, 6), NALU(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(F.dropout(self.linear(x), 0.5))
        return y


class Noise(nn.Module):
    """``h + torch.randn_like(h)``."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(4, 6), NALU(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        y: Tensor = self.head(h + 0.1 * torch.randn_like(h))
        return y


class BatchMean(nn.Module):
    """``(h − mean(h, 0)) / (std(h, 0) + ε)``: what a sample gives depends on the others."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.head = nn.Linear(4, 6), NALU(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        y: Tensor = self.head((h - h.mean(dim=0)) / (h.std(dim=0, unbiased=False) + 1e-5))
        return y


class TwoInputs(nn.Module):
    """``head([a, b])``."""

    def __init__(self) -> None:
        super().__init__()
        self.head = NALU(4, 2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        y: Tensor = self.head(torch.cat([a, b], dim=-1))
        return y


def batch_norm() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, track_running_stats=False), NALU(6, 2))


def embedding() -> nn.Module:
    return nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), NALU(12, 2))


def no_arithmetic() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))


def quantised() -> nn.Module:
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao.quantization is deprecated, and still what most people use
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), NALU(6, 2))
        quantized: nn.Module = quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    return quantized


@dataclass(frozen=True)
class Refused:
    """One model that must be refused.

    Attributes:
        build: makes it.
        fragment: words that the message has to contain.
        shapes: of one sample of each input.
        integers: whether the inputs are int64.
    """

    build: Callable[[], nn.Module]
    fragment: str
    shapes: tuple[tuple[int, ...], ...] = ((4,),)
    integers: bool = False

    def inputs(self, batch: int = 3) -> tuple[Tensor, ...]:
        """Inputs that the model runs on."""
        if self.integers:
            return tuple(torch.arange(batch).reshape(-1, 1) + torch.arange(*shape) for shape in self.shapes)
        return tuple(torch.linspace(-1.0, 2.0, batch * shape[0]).reshape(batch, *shape) for shape in self.shapes)


REFUSED: dict[str, Refused] = {
    "active dropout": Refused(network(ActiveDropout), "dropout"),
    "noise": Refused(network(Noise), "randn_like"),
    "the batch's own mean": Refused(network(BatchMean), "batch"),
    "BatchNorm without running statistics": Refused(network(batch_norm), "running statistics"),
    # These two are for want of an example alone.
    "two inputs": Refused(network(TwoInputs), "2 inputs", ((2,), (2,))),
    "integers": Refused(network(embedding), "embedding", ((3,),), integers=True),
    "quantised": Refused(network(quantised), "is a quantised Linear, whose packed weights no export format can hold"),
    "no arithmetic": Refused(network(no_arithmetic), "no arithmetic"),
}
