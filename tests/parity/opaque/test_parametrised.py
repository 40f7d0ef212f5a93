"""nalu_export.parity.opaque.parametrised: weights that a module computes."""

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from nalu_export.modules.copying import copied
from tests.parity.opaque.calls import OneCall, holds
from tests.primitives.balls import U

Wrap = Callable[[nn.Module], nn.Module]


def _old(wrap: Wrap) -> Wrap:
    def wrapped(module: nn.Module) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the hooks of old are deprecated
            return wrap(module)

    return wrapped


class _Squared(nn.Module):
    """A parametrisation of one's own."""

    def forward(self, raw: Tensor) -> Tensor:
        return raw * raw / raw.abs().sum()


def _own(module: nn.Module) -> nn.Module:
    parametrize.register_parametrization(module, "weight", _Squared())
    parametrize.register_parametrization(module, "bias", _Squared())
    return module


WRAPS: dict[str, Wrap] = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "old weight_norm": _old(nn.utils.weight_norm),
    "old spectral_norm": _old(nn.utils.spectral_norm),
    "own": _own,
}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("make", [lambda: nn.Conv2d(3, 4, 3), lambda: nn.Linear(6, 4)])
@torch.no_grad()
def test_the_bound_is_that_of_the_weight_that_is_computed(wrap: str, make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    plain = make()
    module = WRAPS[wrap](make())
    for _ in range(20):
        module(torch.ones(1, 3, 5, 5) if isinstance(module, nn.Conv2d) else torch.ones(1, 6))  # power iterations
    module.eval()
    x = torch.randn(5, *((3, 5, 5) if isinstance(module, nn.Conv2d) else (6,)))
    out = module(x)
    for name in ("weight", "bias"):
        getattr(plain, name).copy_(getattr(module, name))
    found, wanted = OneCall(module)(x), OneCall(plain)(x)
    assert holds(found, out)
    # Folded: the weight in float64, rounded once.
    assert holds(found, plain(x))
    assert bool((found.radius > wanted.radius).all())
    assert bool((found.radius < 20.0 * wanted.radius + 200.0 * U * wanted.value.abs()).all())


@torch.no_grad()
def test_a_copy_computes_its_own_weight() -> None:
    with torch.enable_grad():
        module = WRAPS["old weight_norm"](nn.Linear(3, 2))
    found = copied(module)
    for parameter in found.parameters():
        parameter.mul_(2.0)
    x = torch.ones(1, 3)
    torch.testing.assert_close(found(x), 2.0 * module(x))
