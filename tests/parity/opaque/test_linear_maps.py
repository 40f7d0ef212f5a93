"""nalu_export.parity.opaque.linear_maps: convolutions and matrix products, in every spelling and in any order."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.primitives.precision import TF32
from tests.alone import analysed
from tests.parity.opaque.calls import OneCall, holds
from tests.primitives.balls import TINY, U

MODULES: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Conv2d(3, 4, 3), (3, 6, 5)),
    (lambda: nn.Conv2d(3, 4, 1, bias=False), (3, 6, 5)),
    (lambda: nn.Conv2d(4, 2, 3, padding=1, groups=2), (4, 6, 5)),
    (lambda: nn.Conv2d(4, 4, 3, 2, 2, dilation=2, padding_mode="reflect"), (4, 6, 5)),
    (lambda: nn.Conv1d(3, 4, 3), (3, 6)),
    (lambda: nn.Conv3d(2, 3, 2), (2, 4, 3, 5)),
    (lambda: nn.ConvTranspose1d(3, 4, 3, stride=2), (3, 6)),
    (lambda: nn.ConvTranspose2d(4, 2, 3, stride=2, padding=1, output_padding=1, groups=2), (4, 5, 4)),
    (lambda: nn.ConvTranspose3d(2, 2, 2, stride=3), (2, 3, 3, 2)),
    (lambda: nn.Linear(6, 4), (6,)),
]


@pytest.mark.parametrize(("make", "shape"), MODULES)
@torch.no_grad()
def test_a_map_is_bounded_by_its_number_of_terms(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    module = make()
    call = OneCall(module)
    x = torch.randn(5, *shape) * torch.logspace(-3, 3, shape[-1])
    found, absolute = call(x), copy.deepcopy(module).double()
    for parameter in absolute.parameters():
        parameter.abs_()
    size = absolute(x.double().abs())
    assert isinstance(module.weight, Tensor)
    terms = float(module.weight[0].numel())
    assert holds(found, module(x))
    assert bool((found.radius <= 1.001 * U * (terms + 9) * size + terms * TINY).all())
    assert bool((found.radius >= U * found.value.abs()).all())
    # What the input is off by is passed on with |W|, which is exact for signs that all add up.
    wider = call(x, radius=0.5)
    carried = absolute(torch.full_like(x, 0.5).double()) - absolute(torch.zeros_like(x).double())
    assert bool((wider.radius >= carried).all())
    assert bool((wider.radius <= carried * 1.001 + found.radius * 1.001 + U * terms * carried).all())


@torch.no_grad()
def test_every_spelling_of_a_convolution_has_the_same_allowance() -> None:
    module, aten = nn.Conv2d(3, 4, 3, padding=1), torch.ops.aten
    weight, bias = module.weight.detach().double(), module.bias.detach().double()  # type: ignore[union-attr]
    functions: list[Callable[[Tensor], Tensor]] = [
        lambda x: F.conv2d(x, weight, bias, padding=1),
        lambda x: torch.conv2d(x, weight, bias=bias, padding=(1, 1)),
        lambda x: aten.conv2d.default(x, weight, bias, [1, 1], [1, 1]),
        lambda x: aten.convolution.default(x, weight, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    ]
    x = torch.randn(2, 3, 5, 4)
    wanted = OneCall(module)(x)
    for function in functions:
        found = OneCall(function)(x)
        torch.testing.assert_close(found.radius, wanted.radius, rtol=1e-9, atol=0)
    transposed = nn.ConvTranspose2d(3, 2, 3, stride=2)
    weight, bias = transposed.weight.detach().double(), transposed.bias.detach().double()  # type: ignore[union-attr]
    for function in (
        lambda x: F.conv_transpose2d(x, weight, bias, 2),
        lambda x: aten.convolution.default(x, weight, bias, [2, 2], [0, 0], [1, 1], True, [0, 0], 1),
    ):
        torch.testing.assert_close(OneCall(function)(x).radius, OneCall(transposed)(x).radius, rtol=1e-9, atol=0)


def _one_after_the_other(x: Tensor, weight: Tensor, order: list[int]) -> Tensor:
    """A convolution whose products are added in that order, in float32."""
    columns, rows = F.unfold(x, weight.shape[-1]), weight.flatten(1)
    total = torch.zeros(len(x), len(weight), columns.shape[-1])
    for term in order:
        total = total + rows[:, term, None] * columns[:, term, None, :]
    return total


@torch.no_grad()
def test_long_sums_hold_in_any_order_and_so_do_sums_of_terms_that_are_alike() -> None:
    module = nn.Conv2d(128, 2, 3, bias=False)
    terms = 9 * 128
    inputs = [torch.randn(2, 128, 4, 4), torch.rand(2, 128, 4, 4), torch.ones(1, 128, 4, 4) * 0.1]
    for weight in (module.weight.clone(), module.weight.abs(), torch.full_like(module.weight, 0.1)):
        module.weight.copy_(weight)
        call = OneCall(module)
        for x in inputs:
            found = call(x)
            for order in (list(range(terms)), torch.randperm(terms).tolist()):
                assert holds(found, _one_after_the_other(x, weight, order).reshape(found.value.shape))
        # Far below what is certain, because roundings are independent of each other where terms differ.
    size = F.conv2d(inputs[0].double().abs(), module.weight.double())
    module.weight.copy_(torch.randn_like(module.weight))
    size = F.conv2d(inputs[0].double().abs(), module.weight.double().abs())
    assert float((OneCall(module)(inputs[0]).radius / (U * terms * size)).max()) < 0.1


@torch.no_grad()
def test_products_that_are_subnormal_may_be_flushed_and_nothing_is_exactly_nothing() -> None:
    module = nn.Conv2d(1, 3, 1, bias=False)
    module.weight.copy_(torch.tensor([0.0123, -0.3, 1e-5]).reshape(3, 1, 1, 1))
    x = torch.tensor([1.0, 1.37, 1.9, 0.0]).reshape(4, 1, 1, 1) * TINY
    found = OneCall(module)(x)
    assert holds(found, module(x))
    assert bool((found.value.abs() <= found.radius).all())  # flushed
    assert not bool(found.radius[3].any())


@torch.no_grad()
def test_tf32_widens_products() -> None:
    call, x = OneCall(nn.Conv2d(2, 4, 3)), torch.randn(4, 2, 6, 6)
    assert bool((call(x, TF32).radius > 30 * call(x).radius).all())


@torch.no_grad()
def test_a_product_of_two_values_passes_both_errors_on() -> None:
    def attention(x: Tensor) -> Tensor:
        return torch.bmm(x, x)

    x = torch.randn(3, 4, 4)
    call = OneCall(attention)
    found, wider = call(x), call(x, radius=1e-3)
    assert holds(found, attention(x))
    worst = torch.stack([attention(x.double() + 1e-3 * sign) for sign in (1.0, -1.0, x.double().sign())])
    assert bool(((worst - found.value).abs().amax(dim=0) <= wider.radius).all())


@torch.no_grad()
def test_an_output_size_that_is_chosen_at_the_call_is_measured() -> None:
    module = nn.ConvTranspose2d(2, 3, 3, stride=2)

    def sized(inner: Any) -> Callable[[Tensor], Tensor]:
        return lambda x: inner(x, output_size=[8, 8])

    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = sized(self.inner)(x)
            return found

    from torch import fx

    from nalu_export.parity.analysis import ErrorAnalysis
    from nalu_export.primitives.precision import Profile

    x = torch.randn(2, 2, 3, 3)
    analysis = ErrorAnalysis(fx.symbolic_trace(Sized().double()))
    with analysis.opaque.calibrating():
        analysed(analysis, x.double(), Profile())
    assert holds(analysed(analysis, x.double(), Profile()), Sized().float()(x))
