"""nalu_export.parity.opaque.norms: by running statistics, and by statistics of the sample in one pass or two."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.primitives.conditioned import Conditioned
from tests.parity.opaque.calls import OneCall, holds
from tests.primitives.balls import U, ball


def _batch_norm() -> nn.BatchNorm2d:
    torch.manual_seed(0)
    module = nn.BatchNorm2d(3)
    assert module.running_mean is not None
    assert module.running_var is not None
    nn.init.uniform_(module.weight, -2, 2)
    nn.init.uniform_(module.bias, -1, 1)
    module.running_mean.uniform_(-5, 5)
    module.running_var.uniform_(0.01, 2)
    return module.eval()


@torch.no_grad()
def test_a_batch_norm_is_a_scale_and_a_shift_made_in_three_ways() -> None:
    module, x = _batch_norm(), torch.randn(4, 3, 5, 5) * 10
    call = OneCall(module)
    found = call(x)
    single = {name: value.reshape(1, -1, 1, 1) for name, value in module.state_dict().items() if value.ndim}
    scale = single["weight"] / torch.sqrt(single["running_var"] + module.eps)
    outs = [
        module(x),
        x * scale + (single["bias"] - single["running_mean"] * scale),
        (x - single["running_mean"]) * scale + single["bias"],
    ]
    assert all(holds(found, out) for out in outs)
    magnitude = scale.double().abs() * (x.double().abs() + single["running_mean"].abs())
    assert bool((found.radius <= 12 * U * (magnitude + single["bias"].abs())).all())
    wider = call(x, radius=1e-3)
    torch.testing.assert_close(
        wider.radius - found.radius, (1e-3 * scale.double().abs()).expand(x.shape), rtol=1e-3, atol=0
    )


@torch.no_grad()
def test_spellings_of_a_batch_norm() -> None:
    module, x = _batch_norm().double(), torch.randn(4, 3, 5, 5)
    mean, variance = module.running_mean, module.running_var
    weight, bias = module.weight.detach(), module.bias.detach()
    wanted = OneCall(module)(x)
    for function in (
        lambda x: F.batch_norm(x, mean, variance, weight, bias),
        lambda x: torch.ops.aten.batch_norm.default(x, weight, bias, mean, variance, False, 0.1, 1e-5, True),
    ):
        torch.testing.assert_close(OneCall(function)(x).radius, wanted.radius, rtol=1e-9, atol=0)


def _one_pass(groups: Tensor, eps: float) -> Tensor:
    """Mean and mean of squares added up one after the other, as some runtimes do."""
    total, squares = torch.zeros(groups.shape[:-1]), torch.zeros(groups.shape[:-1])
    for term in groups.unbind(-1):
        total, squares = total + term, squares + term * term
    mean = (total / groups.shape[-1]).unsqueeze(-1)
    variance = (squares / groups.shape[-1]).unsqueeze(-1) - mean * mean
    return (groups - mean) / torch.sqrt(variance.clamp(min=0.0) + eps)


NORMS: list[tuple[nn.Module | Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = [
    (nn.LayerNorm((5, 6), elementwise_affine=False), lambda x: x.flatten(2)),
    (nn.GroupNorm(2, 4, affine=False), lambda x: x.reshape(len(x), 2, -1)),
    (nn.InstanceNorm2d(4), lambda x: x.flatten(2)),
    (lambda x: F.layer_norm(x, [4, 5, 6]), lambda x: x.flatten(1)),
    (lambda x: F.group_norm(x, 1), lambda x: x.flatten(1)),
    (lambda x: torch.ops.aten.layer_norm.default(x, [6]), lambda x: x),
]


@pytest.mark.parametrize(("norm", "groups"), NORMS)
@torch.no_grad()
def test_one_pass_and_two_are_both_right(norm: Callable[[Tensor], Tensor], groups: Callable[[Tensor], Tensor]) -> None:
    call = OneCall(norm)
    for x in (torch.randn(3, 4, 5, 6), torch.randn(3, 4, 5, 6) + 30.0, torch.rand(3, 4, 5, 6) * 1e4):
        found = call(x)
        assert holds(found, norm(x))
        assert holds(found, _one_pass(groups(x), 1e-5).reshape(x.shape))
    # The mean of squares cancels with the square of the mean, and the bound knows that.
    near, far = call(torch.randn(3, 4, 5, 6)), call(torch.randn(3, 4, 5, 6) + 30.0)
    assert float(near.radius.median()) < 1e-5 < float(far.radius.median()) < 1e-2


@torch.no_grad()
def test_where_all_numbers_are_alike_the_order_decides_and_nothing_is_promised() -> None:
    norm = nn.LayerNorm(4096, elementwise_affine=False)
    x = torch.full((1, 4096), 3.3)
    found = OneCall(norm)(x)
    assert holds(found, _one_pass(x, 1e-5))
    assert float(_one_pass(x, 1e-5).abs().max()) > 1e-4  # of a value that is 0


@torch.no_grad()
def test_weights_scale_and_shift() -> None:
    norm = nn.GroupNorm(2, 4)
    nn.init.uniform_(norm.weight, -2, 2)
    nn.init.uniform_(norm.bias, -1, 1)
    x = torch.randn(3, 4, 5, 6)
    found = OneCall(norm)(x)
    assert holds(found, norm(x))
    plain = _one_pass(x.reshape(3, 2, -1), 1e-5).reshape(x.shape)
    assert holds(found, plain * norm.weight.reshape(1, -1, 1, 1) + norm.bias.reshape(1, -1, 1, 1))
    layer = nn.LayerNorm(6)
    nn.init.uniform_(layer.weight, -2, 2)
    assert holds(OneCall(layer)(x), layer(x))


@torch.no_grad()
def test_errors_of_the_input_are_passed_on() -> None:
    x = torch.randn(2, 4, 5, 6)
    for norm in (nn.LayerNorm(6), nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)):
        found: Conditioned = OneCall(norm)(x, radius=1e-4)
        generator = torch.Generator().manual_seed(5)
        for _ in range(20):
            signs = torch.randint(0, 2, x.shape, generator=generator).double() * 2 - 1
            moved = norm.double()(x.double() + 1e-4 * signs)
            assert bool(((moved - found.value).abs() <= found.radius).all())
        assert float(found.radius.max()) < 0.01


@torch.no_grad()
def test_statistics_of_a_batch_are_measured() -> None:
    module = nn.BatchNorm1d(3, track_running_stats=False)
    call, x = OneCall(module), torch.randn(8, 3)
    call.calibrate(x)
    assert holds(call(ball(x)), module(x))
