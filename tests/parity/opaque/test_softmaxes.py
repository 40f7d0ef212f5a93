"""nalu_export.parity.opaque.softmaxes."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.parity.opaque.calls import OneCall, holds

SPELLINGS: list[Callable[[Tensor], Tensor]] = [
    lambda x: F.log_softmax(x, dim=1),
    lambda x: torch.log_softmax(x, 1),
    lambda x: x.log_softmax(-1),
    lambda x: torch.ops.aten.log_softmax.int(x, 1),
    nn.LogSoftmax(1),
    lambda x: F.softmax(x, dim=1),
    lambda x: x.softmax(-1),
    lambda x: torch.ops.aten.softmax.int(x, 1),
    nn.Softmax(1),
]


def _others(x: Tensor, logarithm: bool) -> list[Tensor]:
    """As runtimes compute it, the exponentials added one after the other."""
    risen = torch.exp(x - x.amax(1, keepdim=True))
    total = torch.zeros(len(x), 1)
    for term in risen.unbind(1):
        total = total + term[:, None]
    if logarithm:
        return [x - x.amax(1, keepdim=True) - torch.log(total)]
    return [risen / total, torch.exp(x - x.amax(1, keepdim=True) - torch.log(total))]


@pytest.mark.parametrize("spelling", range(len(SPELLINGS)))
@torch.no_grad()
def test_it_holds_however_it_is_computed_and_passes_errors_on(spelling: int) -> None:
    function = SPELLINGS[spelling]
    logarithm, call = spelling < 5, OneCall(function)
    for x in (torch.randn(20, 4) * 3, torch.randn(20, 4) * 1e4, torch.randn(20, 300), torch.full((2, 300), 0.3)):
        own = call(x)
        assert all(holds(own, out) for out in (function(x), *_others(x, logarithm)))
        assert bool((own.radius < 1e-2).all())
    x = torch.randn(20, 4) * 3
    own = call(x)
    for radius in (1e-5, 1e-2):
        found = call(x, radius=radius)
        worst = torch.zeros_like(own.value)
        for signs in itertools.product((1.0, -1.0), repeat=4):
            moved = x.double() + radius * torch.tensor(signs, dtype=torch.float64)
            worst = torch.maximum(worst, (function(moved) - own.value).abs())
        assert bool((worst <= found.radius).all())
        assert bool((found.radius <= 2.05 * radius + 1.01 * own.radius.max()).all())


@torch.no_grad()
def test_an_axis_that_is_not_given_is_measured() -> None:
    call, x = OneCall(nn.Softmax(None)), torch.randn(3, 4)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        call.calibrate(x)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        assert holds(call(x), F.softmax(x, 1))
