"""benchmarks.double_double: each function against Python's own decimal arithmetic with 90 digits."""

from collections.abc import Callable
from decimal import Decimal, getcontext, localcontext

import pytest
import torch
from torch import Tensor

from benchmarks import double_double as dd
from benchmarks.double_double import Pair

GOOD = Decimal(2) ** -96
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211")


def _between(low: float, high: float) -> Tensor:
    return torch.linspace(low, high, 41, dtype=torch.float64)


def _powers(low: int, high: int) -> Tensor:
    return 10.0 ** _between(low, high)


def _full(hi: Tensor) -> Pair:
    """With a second part, as results of earlier operations have it."""
    return dd.joined(hi, hi * 2.0**-55 * torch.linspace(-1.0, 1.0, hi.numel(), dtype=torch.float64))


def _decimals(pair: Pair) -> list[Decimal]:
    return [Decimal(hi) + Decimal(lo) for hi, lo in zip(pair.hi.tolist(), pair.lo.tolist(), strict=True)]


def _tanh(x: Decimal) -> Decimal:
    return ((2 * x).exp() - 1) / ((2 * x).exp() + 1)


def _cosine(x: Decimal) -> Decimal:
    total = term = Decimal(1)
    for n in range(1, 200):
        term *= -x * x / (2 * n * (2 * n - 1))
        total += term
    return total


def _asinh(x: Decimal) -> Decimal:
    size = (abs(x) + (x * x + 1).sqrt()).ln()
    return size.copy_sign(x)


SMALL = torch.cat([_powers(-30, 0), -_powers(-30, 0)])
CASES: dict[str, tuple[Callable[[Pair], Pair], Callable[[Decimal], Decimal], Tensor]] = {
    "square": (lambda x: dd.mul(x, x), lambda x: x * x, _powers(-38, 38)),
    "third": (lambda x: dd.div(x, dd.exactly(3.0)), lambda x: x / 3, _powers(-38, 38)),
    "inverse": (lambda x: dd.div(dd.ONE, x), lambda x: 1 / x, -_powers(-38, 38)),
    "plus one": (lambda x: dd.add(x, dd.ONE), lambda x: x + 1, torch.cat([SMALL, _powers(0, 30)])),
    "minus one": (lambda x: dd.sub(x, dd.ONE), lambda x: x - 1, 1.0 + SMALL),
    "sqrt": (dd.sqrt, Decimal.sqrt, _powers(-38, 38)),
    "exp": (dd.exp, Decimal.exp, torch.cat([_between(-640, 700), SMALL])),
    "expm1": (dd.expm1, lambda x: x.exp() - 1, torch.cat([_between(-50, 300), SMALL])),
    "log": (dd.log, Decimal.ln, torch.cat([_powers(-38, 38), _between(0.4, 2.1), 1.0 + _powers(-12, -1)])),
    "log1p": (dd.log1p, lambda x: (1 + x).ln(), torch.cat([SMALL[:-1] * 0.99, _powers(0, 38)])),
    "tanh": (dd.tanh, _tanh, torch.cat([_between(-40, 40), SMALL])),
    "sigmoid": (dd.sigmoid, lambda x: 1 / (1 + (-x).exp()), torch.cat([_between(-500, 500), SMALL])),
    "sinh": (dd.sinh, lambda x: (x.exp() - (-x).exp()) / 2, torch.cat([_between(-90, 90), SMALL])),
    "asinh": (dd.asinh, _asinh, torch.cat([_powers(-20, 38), -_powers(-20, 38)])),
    "cos": (dd.cos, _cosine, _between(-50, 50)),
    "sin": (dd.sin, lambda x: _cosine(x - PI / 2), _between(-50, 49)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_agrees_with_decimal(name: str) -> None:
    function, expected, numbers = CASES[name]
    given = _full(numbers)
    with localcontext(prec=90):
        for x, y in zip(_decimals(given), _decimals(function(given)), strict=True):
            right = expected(x)
            assert abs(y - right) <= GOOD * abs(right), (name, x)
    assert getcontext().prec < 90


def test_ends_of_the_range() -> None:
    ends = dd.exactly(torch.tensor([800.0, -800.0, torch.inf, -torch.inf], dtype=torch.float64))
    assert dd.exp(ends).hi.tolist() == [torch.inf, 0.0, torch.inf, 0.0]
    assert dd.sigmoid(ends).hi.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert dd.log(dd.exactly(torch.tensor([0.0, torch.inf], dtype=torch.float64))).hi.tolist() == [
        -torch.inf,
        torch.inf,
    ]
    assert dd.log(dd.exactly(-1.0)).hi.isnan()
    assert [dd.sqrt(dd.exactly(0.0)).hi.item(), dd.exp(dd.exactly(0.0)).hi.item(), dd.log(dd.ONE).hi.item()] == [
        0,
        1,
        0,
    ]


def test_order_looks_at_both_parts() -> None:
    one = dd.exactly(1.0)
    more = Pair(torch.tensor(1.0, dtype=torch.float64), torch.tensor(1e-30, dtype=torch.float64))
    assert (bool(dd.less(one, more)), bool(dd.less(more, one)), bool(dd.less(one, one))) == (True, False, False)
    assert dd.sub(more, one).hi.item() == 1e-30
