"""Models that take an image."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from nalu_export import NALU
from tests.handwritten.structures import Cell


class InlineCnn(nn.Module):
    """A CNN with the arithmetic of a NALU in its own ``forward``: ``g·(h Wᵀ) + (1 − g)·exp(log(|h| + 1e-7) Wᵀ)``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3)
        self.W_hat = nn.Parameter(torch.randn(2, 4))
        self.M_hat = nn.Parameter(torch.randn(2, 4))
        self.G = nn.Parameter(torch.randn(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2))).mean(dim=(2, 3))
        W = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        g = torch.sigmoid(F.linear(h, self.G))
        return g * F.linear(h, W) + (1 - g) * torch.exp(F.linear(torch.log(torch.abs(h) + 1e-7), W))


class ZeroFeatures(nn.Module):
    """A CNN whose features are the largest of ReLUs, each of which is exactly 0 for many inputs; then a NALU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.head = NALU(6, 2)
        nn.init.constant_(self.conv.bias if self.conv.bias is not None else torch.empty(0), -1.0)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(F.adaptive_max_pool2d(F.relu(self.conv(x)), 1).flatten(1))
        return y


class Block(nn.Module):
    """Two convolutions with BatchNorm, and a residual."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(i, o, 3, stride, padding=1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.bn2 = nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)
        same = stride == 1 and i == o
        self.short = nn.Identity() if same else nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.short(x))


class ResNet(nn.Module):
    """A small ResNet for 32×32, the mean over the image, and a NALU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 16, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = NALU(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(torch.flatten(self.pool(self.stages(self.stem(x))), 1))
        return y


class NacConvolution(nn.Module):
    """A NAC as a convolution, Ŵ of (c_out, c_in·k·k), and the products over the same patches."""

    def __init__(self) -> None:
        super().__init__()
        self.W_hat, self.M_hat = nn.Parameter(torch.randn(4, 18)), nn.Parameter(torch.randn(4, 18))

    def forward(self, x: Tensor) -> Tensor:
        W = (torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)).view(4, 2, 3, 3)
        a = F.conv2d(x, W, padding=1)
        m = torch.exp(F.conv2d(torch.log(F.pad(x, (1, 1, 1, 1)).abs() + 1e-7), W * 0.125))
        return torch.cat([a, m], dim=1).mean((2, 3))


class UNet(nn.Module):
    """Down, down, up, up, and a cell at every pixel; sides have to be multiples of 4."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.down = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.merge = nn.Conv2d(8, 3, 3, padding=1)
        self.cell = Cell(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        first = F.relu(self.enter(F.max_pool2d(x, 2)))
        second = F.relu(self.down(F.max_pool2d(first, 2)))
        joined = torch.cat([first, self.up(second)], dim=1)
        y: Tensor = self.cell(torch.sigmoid(self.merge(joined)).permute(0, 2, 3, 1))
        return F.interpolate(y.permute(0, 3, 1, 2), scale_factor=2.0, mode="nearest")


class ViT(nn.Module):
    """4×4 patches of 16×16, a positional embedding of fixed length, one encoder layer, and a NALU."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 4, stride=4)
        self.position = nn.Parameter(0.1 * torch.randn(1, 16, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(16)
        self.head = NALU(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        y: Tensor = self.head(self.norm(self.encoder(tokens)).mean(dim=1))
        return y


class SiameseImages(nn.Module):
    """Two images in one tensor, ``(batch, 2, 1, 12, 12)``, one encoder for both, and a cell on both codes."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
        )
        self.cell = Cell(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(torch.cat([self.encoder(x[:, 0]), self.encoder(x[:, 1])], dim=1))
        return y


def nested() -> nn.Module:
    """A ``Sequential`` in a ``Sequential``, with the mean inside the inner one."""
    inner = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(inner, NALU(16, 1))


def weight_norm_conv() -> nn.Module:
    return _after(parametrizations.weight_norm(nn.Conv2d(3, 6, 3)))


def spectral_norm_conv() -> nn.Module:
    return _after(parametrizations.spectral_norm(nn.Conv2d(3, 6, 3)))


def _after(conv: nn.Module) -> nn.Module:
    return nn.Sequential(conv, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(6, 2))
