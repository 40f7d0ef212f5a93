"""nalu_export.parity.opaque.averages: n additions in whatever order."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.primitives.precision import TF32
from tests.parity.opaque.calls import OneCall, holds
from tests.primitives.balls import TINY, U, lanes, pairwise, sequential

aten = torch.ops.aten
# Function or module, and the most numbers that a result of it has, for an image of 7 × 5.
AVERAGES: list[tuple[Callable[[Tensor], Tensor], int]] = [
    (lambda x: torch.mean(x, dim=(2, 3)), 35),
    (lambda x: x.mean(dim=(2, 3)), 35),
    (lambda x: aten.mean.dim(x, [2, 3]), 35),
    (lambda x: torch.sum(x, dim=(2, 3)), 35),
    (lambda x: x.sum(dim=(2, 3)), 35),
    (lambda x: x.cumsum(2), 7),
    (nn.AdaptiveAvgPool2d(1), 35),
    (nn.AdaptiveAvgPool2d((2, 3)), 12),
    (lambda x: F.adaptive_avg_pool2d(x, 2), 12),
    (lambda x: aten.adaptive_avg_pool2d.default(x, [7, 5]), 1),
    (nn.AvgPool2d(3, padding=1), 9),
    (nn.AvgPool2d((2, 3), stride=1, count_include_pad=False), 6),
    (lambda x: F.avg_pool2d(x, 2, ceil_mode=True, divisor_override=3), 4),
    (lambda x: aten.avg_pool2d.default(x, [2, 2]), 4),
]


@pytest.mark.parametrize(("average", "terms"), AVERAGES)
@torch.no_grad()
def test_the_allowance_is_that_of_the_window(average: Callable[[Tensor], Tensor], terms: int) -> None:
    x = torch.randn(2, 3, 7, 5) * torch.logspace(-4, 4, 5)
    call = OneCall(average)
    found = call(x)
    assert holds(found, average(x))
    size = average(x.double().abs())
    torch.testing.assert_close(found.radius, U * (terms + 1) * size, rtol=1e-9, atol=2 * TINY)
    wider = call(x, radius=1e-3)
    moved = (average(x.double() + 1e-3) - found.value).abs()
    assert bool((wider.radius >= found.radius + 0.999 * moved).all())
    torch.testing.assert_close(call(x, TF32).radius, found.radius, rtol=0, atol=0)


@torch.no_grad()
def test_every_order_of_a_sum_holds() -> None:
    x = torch.randn(1, 1, 9, 8) * torch.logspace(-4, 4, 8)
    for average, share in ((nn.AdaptiveAvgPool2d(1), np.float32(1) / np.float32(72)), (lambda x: x.sum((2, 3)), 1)):
        found = OneCall(average)(x)
        numbers = list(x.flatten().numpy())
        for total in (sequential(numbers), sequential(numbers[::-1]), pairwise(numbers), lanes(numbers)):
            assert holds(found, torch.tensor(np.float32(total) * np.float32(share)).reshape(found.value.shape))


@torch.no_grad()
def test_other_dimensions_are_pooled_alike() -> None:
    for module, shape, terms in ((nn.AvgPool1d(3), (2, 9), 3), (nn.AvgPool3d(2), (1, 4, 4, 4), 8)):
        x = torch.rand(2, *shape)
        found = OneCall(module)(x)
        assert holds(found, module(x))
        torch.testing.assert_close(found.radius, U * (terms + 1) * found.value, rtol=1e-9, atol=2 * TINY)
    adaptive = OneCall(nn.AdaptiveAvgPool1d(2))(torch.rand(1, 2, 7))
    torch.testing.assert_close(adaptive.radius, U * 5 * adaptive.value, rtol=1e-9, atol=2 * TINY)


@torch.no_grad()
def test_the_mean_of_what_is_nearly_subnormal_may_be_flushed() -> None:
    found = OneCall(nn.AdaptiveAvgPool2d(1))(torch.tensor([1.1, 0.0]).reshape(1, 1, 1, 2) * TINY)
    assert float(found.radius) >= float(found.value)
    assert float(OneCall(nn.AdaptiveAvgPool2d(1))(torch.zeros(1, 1, 2, 2)).radius) == 0.0
