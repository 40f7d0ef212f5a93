"""benchmarks.extended: every module written by hand gives what it gives in float64, and more where float64 cancels."""

import math

import pytest
import torch
from torch import Tensor, nn

from benchmarks.double_double import Pair
from benchmarks.extended import NOISE, evaluate
from benchmarks.extended_rules import RULES
from tests.handwritten.cells import CELL_SHAPE, CELLS


def _evaluate(module: nn.Module, x: Tensor, seed: int | None = None) -> Pair:
    noise = None if seed is None else torch.Generator().manual_seed(seed)
    return evaluate(module, module.state_dict(), x.double(), noise)


def test_every_cell_agrees_with_float64() -> None:
    x = torch.linspace(-4.0, 5.0, 6 * 3).reshape(6, *CELL_SHAPE)
    for name, build in CELLS.items():
        before = {key: value.clone() for key, value in build().state_dict().items()}
        module = build()
        found = _evaluate(module, x)
        with torch.no_grad():
            expected = build().double()(x.double())
        torch.testing.assert_close(found.hi, expected, rtol=1e-9, atol=1e-12, msg=name)
        assert bool((found.lo.abs() <= found.hi.abs() * 2.0**-52).all()), name
        assert bool((found.lo != 0).any()), f"{name}: nothing but float64"
        assert all(torch.equal(before[key], value) for key, value in module.state_dict().items()), name


class _Far(nn.Module):
    """``(1 − σ(x))·1e30``."""

    def forward(self, x: Tensor) -> Tensor:
        return (1 - torch.sigmoid(x)) * 1e30


def test_it_sees_what_float64_cancels() -> None:
    x = torch.tensor([[45.0, 60.0, 70.0]]).double()
    assert _Far()(x).eq(0.0).all()
    expected = [1e30 / (1.0 + math.exp(z)) for z in x[0].tolist()]
    assert _evaluate(_Far(), x).hi[0].tolist() == pytest.approx(expected, rel=1e-12)


def test_noise_moves_what_cannot_be_trusted_and_nothing_else() -> None:
    class Cancels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (torch.exp(x) + 1e30) - 1e30

    x = torch.tensor([[1.0, 2.0]])
    quiet, moved = (_evaluate(Cancels(), x, seed) for seed in (None, 0))
    assert (quiet.hi - moved.hi).abs().max() > 0.1 * 1e30 * NOISE > 0.1
    x = torch.tensor([[0.0, 0.25, 0.0]]).expand(16, 3)
    for name in ("Nmu", "A"):
        quiet, moved = (_evaluate(CELLS[name](), x, seed) for seed in (None, 1))
        apart = ((quiet.hi - moved.hi) + (quiet.lo - moved.lo)).abs()
        assert bool((apart <= 1e3 * NOISE * quiet.hi.abs()).all()), name


def test_in_place_updates_reach_views() -> None:
    class Writes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 3
            y[:, :1] += torch.exp(x[:, 1:])
            return y

    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).double()
    found = _evaluate(Writes(), x)
    torch.testing.assert_close(found.hi, Writes()(x), rtol=1e-15, atol=0.0)
    assert (found.lo != 0).tolist() == [[True, False], [True, False]]


def test_an_operator_without_a_rule_is_named() -> None:
    assert "erf" not in RULES
    with pytest.raises(NotImplementedError, match=r"benchmarks.extended has no rule for aten.gelu"):
        _evaluate(nn.GELU(), torch.ones(1, 2))
    with pytest.raises(NotImplementedError, match=r"no rule for softplus with beta=2"):
        _evaluate(nn.Softplus(beta=2.0), torch.ones(1, 2))
