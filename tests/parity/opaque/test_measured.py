"""nalu_export.parity.opaque.measured: calls that no rule knows."""

import pytest
import torch
from torch import Tensor, nn

from nalu_export.parity.opaque import SAFETY
from nalu_export.parity.opaque.measured import KERNELS, pooled
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import TF32, TF32_FACTOR
from tests.parity.opaque.calls import OneCall, holds


@torch.no_grad()
def test_a_recurrent_layer_and_its_states_are_measured() -> None:
    module = nn.LSTM(4, 6, batch_first=True)
    call, x = OneCall(module), torch.randn(8, 5, 4)
    call.calibrate(x)
    outputs, (hidden, cell) = call(x)
    wanted, (wanted_hidden, wanted_cell) = module(x)
    for found, out in ((outputs, wanted), (hidden, wanted_hidden), (cell, wanted_cell)):
        assert isinstance(found, Conditioned)
        assert holds(found, out)
        share = (out.double() - found.value).abs() / found.radius
        assert 1e-3 < float(share.max()) <= 1.0 / SAFETY * 1.001
        assert float(((out.double() - found.value).abs() / (ROUNDOFF * found.error)).max()) <= 1.0
    again = OneCall(module)
    before = again(x)[0].radius
    again.calibrate(x)
    after = again(x)[0].radius
    assert bool((after >= before * (1 - 1e-12)).all())
    again.calibrate(x)
    torch.testing.assert_close(again(x)[0].radius, after, rtol=0, atol=0)
    wider = (after - KERNELS) * (TF32_FACTOR / ROUNDOFF) + KERNELS
    torch.testing.assert_close(again(x, TF32)[0].radius, wider, rtol=1e-6, atol=0)


@torch.no_grad()
def test_a_call_that_never_differs_is_exact_and_passes_errors_on() -> None:
    call, x = OneCall(lambda x: torch.sort(x, 1)[0]), torch.randn(5, 6)
    call.calibrate(x)
    values, indices = call(x)
    assert not bool(values.radius.any())
    assert torch.equal(indices, torch.sort(x, 1)[1])
    wider = call(x, radius=0.25)[0]
    assert float(wider.radius.max()) == pytest.approx(0.5, rel=1e-6)


@torch.no_grad()
def test_errors_of_the_input_are_followed_and_monotone_functions_enclosed() -> None:
    call, x = OneCall(lambda x: torch.special.i0(x)), torch.rand(50, 3) * 5
    call.calibrate(x)
    found = call(x, radius=0.1)
    for sign in (1.0, -1.0):
        assert bool(((torch.special.i0(x.double() + 0.1 * sign) - found.value).abs() <= found.radius).all())


def test_a_scale_is_never_much_less_than_that_of_its_sample() -> None:
    scale = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    assert pooled(scale).tolist() == [[pytest.approx(0.25 * 2**0.5), 2.0], [0.0, 0.0]]
    assert pooled(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


@torch.no_grad()
def test_a_recurrent_layer_is_allowed_a_share_of_its_state_and_no_more() -> None:
    """Its kernels' absolute error must not become a factor on what one roundoff changes."""
    torch.manual_seed(0)
    call, x = OneCall(nn.GRU(4, 5, batch_first=True)), torch.randn(6, 3, 4)
    call.calibrate(torch.cat([x, 1e5 * x]))
    found = call(x)[0]
    assert float(found.radius.max()) < 1e-5
    small, large = (OneCall(_Step(size))(x[:, 0]).radius for size in (1.0, 1e4))
    assert float(large.min()) > 1e3 * float(small.min())


class _Step(nn.Module):
    """One step from a state of that size."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self.cell = nn.GRUCell(4, 5)
        self.register_buffer("state", torch.full((6, 5), size))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(x, self.get_buffer("state"))
        return y
