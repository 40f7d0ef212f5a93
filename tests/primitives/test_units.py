"""nalu_export.primitives, units: for every primitive, a perturbation of the arguments stays within D."""

import operator
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

_POSITIVE, _SMALL = _X.abs(), _X / 30

# The function of one argument, what stands behind it in the primitive, and numbers that make sense.
UNARY: dict[str, tuple[Callable[..., Tensor], tuple[object, ...], Tensor]] = {
    "linear": (lambda x: F.linear(x, _WEIGHT), (Conditioned.exact(_WEIGHT), None), _X),
    **{name: (getattr(torch, name), (), _X) for name in ("neg", "abs", "sign", "exp", "tanh", "sigmoid", "asinh")},
    **{name: (getattr(torch, name), (), _X) for name in ("sin", "cos", "expm1", "erf", "logical_not")},
    **{name: (getattr(torch, name), (), _X + 0.01) for name in ("floor", "ceil", "round", "trunc")},
    **{name: (getattr(torch, name), (), _POSITIVE) for name in ("log", "log1p", "sqrt")},
    "sinh": (torch.sinh, (), _SMALL),
    "clamp": (lambda x: torch.clamp(x, -1.0, 1.0), (-1.0, 1.0), _X),
    "prod": (lambda x: torch.prod(x, -1, keepdim=True), (-1, True), _X),
    "sum": (lambda x: x.sum(-1), (-1, False), _X),
    "mean": (lambda x: x.mean((0, 1)), ((0, 1), False), _X),
    "amax": (lambda x: x.amax(), ((), False), _X),
    "amin": (lambda x: x.amin(-1, True), (-1, True), _X),
}
# The same of two, of which the second is the first turned round.
BINARY: dict[str, tuple[Callable[..., Tensor], Tensor]] = {
    **{name: (getattr(operator, name), _X) for name in ("add", "sub", "mul", "gt", "lt", "ge", "le", "eq", "ne")},
    "div": (operator.truediv, _X),
    "maximum": (torch.maximum, _X),
    "minimum": (torch.minimum, _X),
    "logical_and": (torch.logical_and, _X),
    "logical_or": (torch.logical_or, _X),
    "pow": (torch.pow, _POSITIVE.clamp(0.1, 8.0)),
    "matmul": (torch.matmul, _X),
    "where": (lambda x, y: torch.where(x > y, x, y), _X),
}


def test_every_primitive_has_a_case() -> None:
    moving = {name for name, primitive in PRIMITIVES.items() if primitive.kind in ("shape", "cast")}
    assert set(PRIMITIVES) - moving == set(UNARY) | set(BINARY)


def _result(name: str, *arguments: object) -> tuple[Tensor, Tensor]:
    """Value and ``D``."""
    found = PRIMITIVES[name].conditioned(FLOAT32, *arguments)
    return found.value, found.error


def _with(x: Tensor, error: Tensor) -> Conditioned:
    """A value with a ``D`` of its own."""
    return replace(Conditioned.exact(x), error=error)


def _perturbed(x: Tensor, size: float) -> Conditioned:
    return _with(x, x.abs() * size)


def _signs(seed: int) -> Tensor:
    return torch.randint(0, 2, _X.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _moves_no_more(moved: Tensor, value: Tensor, error: Tensor, name: str) -> None:
    # 1.2: second order of products and quotients at a relative perturbation of 6 %.
    assert bool(((moved.double() - value).abs() <= 1.2 * ROUNDOFF * error + 1e-14 * value.abs()).all()), name


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_a_perturbed_argument_moves_the_result_by_no_more_than_its_error(name: str, size: float) -> None:
    function, rest, numbers = UNARY[name]
    x = _perturbed(numbers, size)
    value, error = _result(name, x, *rest)
    torch.testing.assert_close(value, function(x.value).double(), rtol=1e-15, atol=0)
    for seed in range(40):
        _moves_no_more(function(x.value + ROUNDOFF * x.error * _signs(seed)), value, error, name)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_two_perturbed_arguments_move_the_result_by_no_more_than_its_error(name: str, size: float) -> None:
    function, numbers = BINARY[name]
    x, y = _perturbed(numbers, size), _perturbed(numbers.flip(-1), size)
    arguments = [x, y]
    if name == "where":
        arguments = [PRIMITIVES["gt"].conditioned(FLOAT32, x, y), x, y]
    value, error = _result(name, *arguments)
    torch.testing.assert_close(value, function(x.value, y.value).double(), rtol=1e-15, atol=0)
    for seed in range(40):
        signs = _signs(seed)
        moved = function(x.value + ROUNDOFF * x.error * signs, y.value + ROUNDOFF * y.error * _signs(seed + 100))
        _moves_no_more(moved, value, error, name)


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
