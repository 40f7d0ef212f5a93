"""nalu_export.primitives, units: for every primitive, a perturbation of the arguments stays within D."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.conditioned import FLUSH, ROUNDOFF, Conditioned
from nalu_export.primitives.precision import FLOAT32

_WEIGHT = torch.tensor([[1.0, -1.0, 0.5], [0.25, 3.0, -2.0]], dtype=torch.float64)
_X = torch.tensor([[-3.0, 0.5, 2.0], [1e-3, 7.0, -1e3], [40.0, -40.0, 0.1]], dtype=torch.float64)

CASES: dict[str, tuple[Callable[..., Tensor], tuple[object, ...]]] = {
    "linear": (lambda x: F.linear(x, _WEIGHT), (Conditioned.exact(_WEIGHT), None)),
    "add": (lambda x: x + x.flip(-1), ()),
    "sub": (lambda x: x - x.flip(-1), ()),
    "mul": (lambda x: x * x.flip(-1), ()),
    "div": (lambda x: x / x.flip(-1), ()),
    "neg": (torch.neg, ()),
    "abs": (torch.abs, ()),
    "sign": (torch.sign, ()),
    "log": (lambda x: torch.log(x.abs()), ()),
    "exp": (torch.exp, ()),
    "tanh": (torch.tanh, ()),
    "sigmoid": (torch.sigmoid, ()),
    "sinh": (torch.sinh, ()),
    "asinh": (torch.asinh, ()),
    "cos": (torch.cos, ()),
    "clamp": (lambda x: torch.clamp(x, -1.0, 1.0), (-1.0, 1.0)),
    "prod": (lambda x: torch.prod(x, -1, keepdim=True), (-1, True)),
    "unsqueeze": (lambda x: torch.unsqueeze(x, 1), (1,)),
    "cast": (lambda x: x, (torch.float32,)),
}
BINARY = ("add", "sub", "mul", "div")


def test_every_primitive_has_a_rule_and_a_case() -> None:
    assert set(PRIMITIVES) == set(CASES)


def _result(name: str, *arguments: object) -> tuple[Tensor, Tensor]:
    """Value and ``D``."""
    found = PRIMITIVES[name].conditioned(FLOAT32, *arguments)
    return found.value, found.error


def _with(x: Tensor, error: Tensor) -> Conditioned:
    """A value with a ``D`` of its own."""
    return replace(Conditioned.exact(x), error=error)


def _perturbed(x: Tensor, size: float) -> Conditioned:
    return _with(x, x.abs() * size)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_a_perturbed_argument_moves_the_result_by_no_more_than_its_error(name: str, size: float) -> None:
    function, rest = CASES[name]
    x = _perturbed({"log": _X.abs(), "sinh": _X / 30}.get(name, _X), size)
    flipped = _with(x.value.flip(-1), x.error.flip(-1))
    value, error = _result(name, x, flipped) if name in BINARY else _result(name, x, *rest)
    torch.testing.assert_close(value, function(x.value), rtol=1e-15, atol=0)
    for seed in range(40):
        signs = torch.randint(0, 2, _X.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        moved = function(x.value + ROUNDOFF * x.error * signs)
        # 1.2: second order of products and quotients at a relative perturbation of 6 %.
        assert bool(((moved - value).abs() <= 1.2 * ROUNDOFF * error + 1e-14 * value.abs()).all()), name


def test_products_of_zeros_keep_the_other_factors() -> None:
    value = torch.tensor([[0.0, 2.0, 3.0]], dtype=torch.float64)
    x = _with(value, torch.ones_like(value))
    _, error = _result("prod", x, -1, False)
    assert float(error) == 6.0


def test_a_sign_within_its_error_of_zero_may_flip() -> None:
    value = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    x = _with(value, torch.ones_like(value))
    _, error = _result("sign", x)
    assert error.tolist() == [FLUSH, 2.0 / ROUNDOFF]


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_an_exponent_that_is_off_by_ten_is_more_than_a_factor_of_ten(name: str) -> None:
    value = torch.tensor([-30.0], dtype=torch.float64)
    x = _with(value, torch.tensor([2.0 / ROUNDOFF], dtype=torch.float64))
    result, error = _result(name, x)
    assert float(ROUNDOFF * error) > 1000 * float(result)


@pytest.mark.parametrize("z", [-6e12, 6e12])
def test_a_gate_that_is_settled_beyond_doubt_has_no_error(z: float) -> None:
    value = torch.tensor([z], dtype=torch.float64)
    x = _with(value, value.abs() * 100)
    assert float(_result("sigmoid", x)[1]) == FLUSH


def test_a_literal_is_exact() -> None:
    x = Conditioned.exact(torch.tensor([2.0], dtype=torch.float64))
    assert float(_result("add", x, 1e-10)[1]) == FLUSH
    assert float(_result("sub", 1.0, x)[1]) == FLUSH
    assert float(_result("mul", x, 3.0)[1]) == 6.0
