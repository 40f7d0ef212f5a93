"""nalu_export.parity.opaque.selections: exact, and errors move with the numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.primitives.conditioned import Conditioned
from tests.parity.opaque.calls import OneCall
from tests.primitives.balls import ball

MOVES: list[Callable[[Tensor], Any]] = [
    nn.Identity(), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.Flatten(), nn.Unflatten(1, (2, 2)), nn.PixelShuffle(2),
    nn.PixelUnshuffle(2), nn.ChannelShuffle(2), nn.ZeroPad2d(1), nn.ReflectionPad2d(1), nn.ReplicationPad2d(2),
    nn.CircularPad2d(1), nn.Upsample(scale_factor=2), nn.UpsamplingNearest2d(scale_factor=2),
    lambda x: F.pad(x, (1, 1)), lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), lambda x: F.dropout(x, 0.5, False),
    lambda x: F.interpolate(x, scale_factor=2), lambda x: x.reshape(3, -1), lambda x: x.flip(1), lambda x: x.roll(1, 2),
    lambda x: torch.cat([x, x], 1), lambda x: torch.split(x, 2, 1), lambda x: x.chunk(2, 1), lambda x: x[:, 1:],
    lambda x: torch.ops.aten.view.default(x, [3, -1]), lambda x: torch.ops.aten.slice.Tensor(x, 1, 0, 2),
]  # fmt: skip


def _leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("number", range(len(MOVES)))
@torch.no_grad()
def test_everything_that_is_known_of_a_number_moves_with_it(number: int) -> None:
    function, x = MOVES[number], torch.arange(3 * 4 * 4 * 4).reshape(3, 4, 4, 4) + 1.0
    if isinstance(function, nn.Module):
        function.eval()
    given = ball(x, 0.0)
    radius = x.double() / 1000
    flags = (x % 3 == 0).to(torch.int8)
    given = replace(given, radius=radius, error=2 * radius, lost=flags, overflow=2 * flags, zero=-flags)
    found = _leaves(OneCall(function)(given))
    wanted = _leaves(function(x))
    assert len(found) == len(wanted)
    for got, expected in zip(found, wanted, strict=True):
        assert isinstance(got, Conditioned)
        torch.testing.assert_close(got.value, expected.double(), rtol=0, atol=0)
        torch.testing.assert_close(got.radius, expected.double() / 1000)
        torch.testing.assert_close(got.error, expected.double() / 500)
        expected_flags = ((expected % 3 == 0) & (expected != 0)).to(torch.int8)
        assert torch.equal(got.lost, expected_flags)
        assert torch.equal(got.overflow, 2 * expected_flags)
        assert torch.equal(got.zero, -expected_flags)


POOLS: list[Callable[[Tensor], Tensor]] = [
    nn.MaxPool2d(2), nn.MaxPool2d(3, stride=1, padding=1), nn.AdaptiveMaxPool2d((2, 3)), lambda x: F.max_pool2d(x, 2),
    lambda x: F.adaptive_max_pool2d(x, 2), lambda x: torch.amax(x, dim=(2, 3)),
    lambda x: torch.ops.aten.max_pool2d.default(x, [2, 2]),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(POOLS)))
@torch.no_grad()
def test_the_largest_is_exact_and_as_uncertain_as_the_most_uncertain_of_its_window(number: int) -> None:
    pool, x = POOLS[number], torch.randn(3, 2, 5, 5)
    call = OneCall(pool)
    found = call(x)
    assert not bool(found.radius.any())
    torch.testing.assert_close(found.value, pool(x.double()), rtol=0, atol=0)
    radius = torch.rand(x.shape, dtype=torch.float64)
    wider = call(ball(x, radius))
    torch.testing.assert_close(wider.radius, pool(radius))
    for seed in range(10):
        torch.manual_seed(seed)
        moved = pool(x.double() + radius * (2 * torch.rand(x.shape, dtype=torch.float64) - 1))
        assert bool(((moved - found.value).abs() <= wider.radius).all())


@torch.no_grad()
def test_a_pad_with_another_number_is_no_move() -> None:
    x = torch.randn(2, 1, 3, 3)
    for pad in (nn.ConstantPad2d(1, 9.0), lambda x: F.pad(x, (1, 1), value=9.0)):
        call = OneCall(pad)
        call.calibrate(x)
        found = call(x, radius=0.5)
        assert float(found.radius.max()) <= 1.0 + 1e-6
        assert not bool(call(x).radius.any())


@torch.no_grad()
def test_an_active_dropout_is_no_move() -> None:
    call = OneCall(lambda x: F.dropout(x, 0.5))
    assert bool(call(torch.ones(4, 4)).radius.any())
