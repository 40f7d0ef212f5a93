"""nalu_export.parity.opaque.tiles: 3×3 convolutions by Winograd's algorithm in float32, as cuDNN computes some."""

import dataclasses
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.primitives.precision import FLOAT32
from tests.parity.opaque.calls import OneCall, holds

TILED = dataclasses.replace(FLOAT32, tiles=True)
SIZE = 12

# F(m×m, 3×3) of Lavin and Gray 2016, arXiv 1509.09308: transforms of a tile, of the weights, and back.
TRANSFORMS: dict[int, tuple[Sequence[Sequence[float]], ...]] = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [
            [4, 0, -5, 0, 1, 0],
            *([0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0]),
            [0, 4, 0, -5, 0, 1],
        ],
        [
            [1 / 4, 0, 0],
            *([-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6]),
            [0, 0, 1],
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}

IMAGES: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": lambda x: x,
    "features": F.relu,
    "alike": lambda x: torch.ones_like(x),
    "one large pixel": lambda x: x * 1e-3 + 1e4 * (x == x.amax((1, 2, 3), keepdim=True)),
    "mixed magnitudes": lambda x: x * 10.0 ** (4.0 * torch.roll(x, 1, 0)),
    "a slope": lambda x: torch.linspace(1, 2, x.shape[-1]).expand_as(x),
}


def _both(matrix: Sequence[Sequence[float]], x: Tensor) -> Tensor:
    """``A·x·Aᵀ`` with a rounding after each operation, as a kernel adds up one row after the other."""

    def rows(x: Tensor) -> Tensor:
        results = []
        for row in matrix:
            terms = [factor * x[..., place, :] for place, factor in enumerate(row) if factor]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            results.append(total)
        return torch.stack(results, -2)

    return rows(rows(x).transpose(-1, -2)).transpose(-1, -2)


def _winograd(x: Tensor, weight: Tensor, outputs: int) -> Tensor:
    """``(N, C, H, W)`` and ``(O, C, 3, 3)`` in float32, no padding, H − 2 and W − 2 multiples of ``outputs``."""
    forth, of_weights, back = TRANSFORMS[outputs]
    size = outputs + 2
    tiles = x.unfold(2, size, outputs).unfold(3, size, outputs)
    values, factors = _both(forth, tiles), _both(of_weights, weight)
    total = torch.zeros(())
    for channel in torch.randperm(x.shape[1]).tolist():
        total = total + factors[None, :, channel, None, None] * values[:, channel, None]
    found = _both(back, total).transpose(3, 4)
    return found.flatten(4, 5).flatten(2, 3)


@pytest.mark.parametrize("outputs", [2, 4])
@torch.no_grad()
def test_transformed_tiles_are_within_the_allowance(outputs: int) -> None:
    missed = 0
    for channels in (1, 3, 32, 64):
        for change in IMAGES.values():
            for positive in (False, True):
                layer = nn.Conv2d(channels, 4, 3, bias=False)
                if positive:
                    layer.weight.abs_()
                x = change(torch.randn(2, channels, SIZE + 2, SIZE + 2))
                out = _winograd(x, layer.weight, outputs)
                call = OneCall(layer)
                torch.testing.assert_close(out.double(), call(x).value, rtol=1e-2, atol=float(x.abs().max()) * 1e-4)
                assert holds(call(x, TILED), out)
                missed += not holds(call(x), out)
    # Without the allowance right files are refused: otherwise this would test nothing.
    assert missed > 0


@torch.no_grad()
def test_lost_bits_are_still_seen() -> None:
    """Factors of ten bits, a weight in half precision, a weight that is off: on features of any usual kind."""

    def cut(x: Tensor) -> Tensor:
        return (x.view(torch.int32) & ~0x1FFF).view(torch.float32)

    for channels in (3, 32, 64):
        layer = nn.Conv2d(channels, 8, 3, padding=1)
        x = torch.rand(4, channels, SIZE, SIZE)
        found, weight, bias = OneCall(layer)(x, TILED), layer.weight, layer.bias
        assert holds(found, layer(x))
        assert not holds(found, F.conv2d(cut(x), cut(weight), bias, padding=1))
        assert not holds(found, F.conv2d(x, weight.half().float(), bias, padding=1))
        assert not holds(found, F.conv2d(x, weight * (1 + 2**-9), bias, padding=1))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(3, 4, 3, stride=2),
        lambda: nn.Conv2d(3, 4, 3, dilation=2),
        lambda: nn.Conv2d(3, 4, 1),
        lambda: nn.ConvTranspose2d(3, 4, 3),
    ],
)
def test_others_transform_no_tiles(make: Callable[[], nn.Module]) -> None:
    call, x = OneCall(make()), torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(call(x, TILED).radius, call(x).radius, rtol=0, atol=0)


def test_every_spelling_has_it() -> None:
    layer, x = nn.Conv2d(3, 4, 3, padding=1), torch.randn(2, 3, 8, 8)
    weight, bias = layer.weight.detach().double(), None if layer.bias is None else layer.bias.detach().double()
    wanted = OneCall(layer)(x, TILED).radius
    aten = torch.ops.aten
    spellings: list[Callable[[Tensor], Tensor]] = [
        lambda x: F.conv2d(x, weight, bias, padding=1),
        lambda x: aten.conv2d.default(x, weight, bias, [1, 1], [1, 1]),
        lambda x: aten.convolution.default(x, weight, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    ]
    for spelling in spellings:
        torch.testing.assert_close(OneCall(spelling)(x, TILED).radius, wanted, rtol=1e-9, atol=0)
