"""Models around arithmetic: ``NETS`` take one tensor and have to export, ``REFUSED`` must not."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nalu_export import NALU
from tests.handwritten import images, sequences, vectors
from tests.handwritten.refused import REFUSED
from tests.handwritten.training import network

__all__ = ["NETS", "REFUSED", "WRAPPED", "Net"]


@dataclass(frozen=True)
class Net:
    """One model that has to export.

    Attributes:
        build: makes it, trained and in ``eval()``.
        shape: of one sample of its input.
        float64: whether it computes in float64 all through where it is float64.
    """

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    float64: bool = True


def _net(build: Callable[[], nn.Module], *shape: int, float64: bool = True) -> Net:
    return Net(network(build), shape, float64)


NETS: dict[str, Net] = {
    "one cell called twice": _net(vectors.Twice, 4),
    "NAC, Linear": _net(vectors.nac_then_linear, 4),
    "siamese": _net(vectors.Siamese, 6),
    "several heads summed": _net(vectors.Heads, 5),
    "residuals": _net(vectors.Residual, 4),
    "ModuleDict": _net(vectors.ByName, 4),
    "quotient inline": _net(vectors.InlineMlp, 4),
    "first layer by hand": _net(vectors.first_layer, 4),
    "weight_norm Linear": _net(vectors.weight_norm_linear, 4),
    "spectral_norm Linear": _net(vectors.spectral_norm_linear, 4),
    "orthogonal Linear": _net(vectors.orthogonal_linear, 4),
    "loop from new_zeros": _net(sequences.Loop, 5, 4),
    "loop from zeros_like": _net(sequences.LoopZerosLike, 5, 4),
    "loop from torch.zeros": _net(sequences.LoopTorchZeros, 5, 4, float64=False),
    "loop of three steps": _net(sequences.LoopFixed, 3, 4),
    "LSTM updated by a cell": _net(sequences.LstmUpdate, 3, 4, float64=False),
    "positions made in forward": _net(sequences.Positions, 5, 4, float64=False),
    "half turns": _net(sequences.HalfTurns, 4, float64=False),
    "LSTM": _net(lambda: sequences.LastStep("LSTM"), 5, 4),
    "GRU": _net(lambda: sequences.LastStep("GRU"), 5, 4),
    "MultiheadAttention": _net(sequences.Attention, 5, 4),
    "Conv1d": _net(sequences.conv1d, 4, 9),
    "rank 3": _net(sequences.every_step, 5, 4),
    "inline in a CNN": _net(images.InlineCnn, 3, 12, 12),
    "nested Sequential": _net(images.nested, 3, 32, 32),
    "weight_norm Conv2d": _net(images.weight_norm_conv, 3, 12, 12),
    "spectral_norm Conv2d": _net(images.spectral_norm_conv, 3, 12, 12),
    "features of exactly 0": _net(images.ZeroFeatures, 3, 8, 8),
    "NAC as a convolution": _net(images.NacConvolution, 2, 9, 9),
    "siamese images": _net(images.SiameseImages, 2, 1, 12, 12),
    "ResNet": _net(images.ResNet, 3, 32, 32),
    "U-Net": _net(images.UNet, 1, 16, 16),
    "ViT": _net(images.ViT, 1, 16, 16),
}


def _averaged() -> nn.Module:
    return AveragedModel(NALU(4, 2))


def _parallel() -> nn.Module:
    return nn.DataParallel(NALU(4, 2))


def _compiled() -> nn.Module:
    return torch.compile(NALU(4, 2))  # type: ignore[return-value]  # a module, given one


# Wrappers that come off; the module inside is a NALU(4, 2). The compiled one compiles when it is first called.
WRAPPED: dict[str, Net] = {
    "AveragedModel": _net(_averaged, 4),
    "DataParallel": _net(_parallel, 4),
    "torch.compile": _net(_compiled, 4),
}
