"""nalu_export.parity.opaque.activations: kernels and slopes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.parity.opaque import activations
from tests.parity.opaque.calls import OneCall, holds

MODULES: list[nn.Module] = [
    nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 2.0), nn.LeakyReLU(0.3), nn.LeakyReLU(-2.0), nn.PReLU(2), nn.ELU(0.7),
    nn.ELU(3.0), nn.SELU(), nn.CELU(0.5), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Hardswish(),
    nn.Hardsigmoid(), nn.Softplus(), nn.Softplus(3.0, 5.0), nn.Softsign(), nn.Tanhshrink(), nn.LogSigmoid(),
    nn.Sigmoid(), nn.Tanh(),
]  # fmt: skip
X = torch.cat([torch.linspace(-8, 8, 4001), torch.logspace(-30, 30, 401), -torch.logspace(-30, 30, 401)])
X = X[: len(X) // 2 * 2].reshape(-1, 2)


@pytest.mark.parametrize("module", MODULES, ids=repr)
@torch.no_grad()
def test_kernels_hold_and_no_slope_is_steeper_than_allowed(module: nn.Module) -> None:
    call = OneCall(module)
    found = call(X)
    assert holds(found, module(X))
    exact, near = module.double(), X[:2000]
    for radius in (1e-3, 0.5):
        wider = call(near, radius=radius)
        for share in (-1.0, -0.37, 0.2, 1.0):
            moved = exact(near.double() + share * radius)
            assert bool(((moved - found.value[:2000]).abs() <= wider.radius + 1e-14).all())
        assert float((wider.radius - found.radius[:2000]).max()) <= 3.01 * radius


@torch.no_grad()
def test_an_error_of_what_is_surely_clamped_has_no_effect() -> None:
    x = torch.tensor([[-1.0, -0.01, 0.01, 5.99, 6.01, 7.0]])
    assert OneCall(nn.ReLU())(x, radius=0.1).radius[0].tolist() == pytest.approx([0.0, 0.09, 0.1, 0.1, 0.1, 0.1])
    assert OneCall(nn.ReLU6())(x, radius=0.1).radius[0].tolist() == pytest.approx([0.0, 0.1, 0.1, 0.1, 0.1, 0.0])
    for module in (nn.ReLU(), nn.ReLU6(), nn.Hardtanh()):
        assert not bool(OneCall(module)(x).radius.any())


@torch.no_grad()
def test_kernels_that_know_a_sigmoid_or_an_exponential_only_absolutely_hold() -> None:
    """x·σ(x) with σ off by some 2⁻²³, exp(x) − 1 without expm1, Φ from an erf that is off by 10⁻⁷."""
    x = torch.linspace(-20, 20, 4001)[:, None]
    sigmoid = torch.sigmoid(x) + 2.0**-23
    assert holds(OneCall(nn.SiLU())(x), x * sigmoid)
    assert holds(OneCall(nn.Sigmoid())(x), sigmoid)
    assert holds(OneCall(nn.ELU())(x), torch.where(x > 0, x, torch.exp(x) - 1))
    assert holds(OneCall(nn.GELU())(x), x * 0.5 * (1 + torch.erf(x / math.sqrt(2)) + 1.5e-7))
    assert holds(OneCall(nn.Softplus())(x), torch.log(1 + torch.exp(x)))


@torch.no_grad()
def test_an_activation_in_place_leaves_its_input() -> None:
    x = torch.tensor([[-1.0, 2.0]])
    for call in (
        OneCall(nn.ReLU(inplace=True)),
        OneCall(lambda x: F.relu(x, inplace=True)),
        OneCall(lambda x: x.relu_()),
    ):
        given = x.clone()
        assert call(given).value.tolist() == [[0.0, 2.0]]
        assert given.tolist() == [[-1.0, 2.0]]


def test_every_rule_is_tested() -> None:
    spelled: dict[str, Callable[[Tensor], Tensor]] = {"log_sigmoid": F.logsigmoid}
    from nalu_export.parity.opaque.naming import module_name

    assert {module_name(module) for module in MODULES} | set(spelled) == set(activations.RULES)
