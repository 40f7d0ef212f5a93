"""nalu_export.primitives, signs of zeros: a sign is claimed only where every order of every sum gives it."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, NACCell
from nalu_export.parity.reference import Reference
from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.operands import signs_of_zeros
from nalu_export.primitives.precision import FLOAT32, Profile
from tests.alone import expected_of
from tests.captured import graph_of
from tests.conftest import saturated
from tests.primitives.balls import ball, sequential

INPUTS = (0.0, -0.0, 2.0, -3.0)


def given(values: list[float]) -> Conditioned:
    """Inputs, whose zeros have signs."""
    x = ball(values)
    return replace(x, zero=signs_of_zeros(x.value))


def row(values: list[float]) -> Conditioned:
    """A batch of one sample of them."""
    x = ball([values])
    return replace(x, zero=signs_of_zeros(x.value))


def _of(name: str, *arguments: object) -> Tensor:
    return PRIMITIVES[name].conditioned(FLOAT32, *arguments).zero


def _signs_of_every_order(x: tuple[float, ...], w: tuple[float, ...]) -> set[bool]:
    """Which signs the zero has: terms in every order, started from the first of them or from ``+0``."""
    products = [np.float32(a) * np.float32(b) for a, b in zip(x, w, strict=True)]
    totals = [sequential(list(order)) for order in itertools.permutations(products)]
    totals += [np.float32(total + np.float32(0.0)) for total in totals]
    return {bool(np.signbit(total)) for total in totals}


def _linear(x: tuple[float, ...], w: tuple[float, ...]) -> int:
    return int(_of("linear", row(list(x)), ball([list(w)]), None))


@pytest.mark.quick(40)
@pytest.mark.parametrize("w", [w for w in itertools.product((1.0, -1.0, 0.0, -0.0), repeat=3) if any(w)])
def test_a_sum_of_zeros_has_the_sign_of_every_order(w: tuple[float, ...]) -> None:
    for x in itertools.product(INPUTS, repeat=3):
        if any(a and b for a, b in zip(x, w, strict=True)):
            assert _linear(x, w) == 0  # not an exact zero
            continue
        found, signs = _linear(x, w), _signs_of_every_order(x, w)
        assert found in (0, 1)
        assert found == 0 or signs == {False}, (x, w)
        if all(w):  # the sign of a weight that is zero is not known
            assert (found == 1) == (signs == {False}), (x, w)


def test_weights_that_are_all_negative_leave_the_sign_open() -> None:
    """``+0·−1 + +0·−1`` is ``−0``, and ``+0`` where a runtime starts from ``+0``."""
    assert _linear((0.0, 0.0), (-1.0, -2.0)) == 0
    assert _linear((0.0, 0.0), (-1.0, 2.0)) == 1
    assert _linear((-0.0, 0.0), (-1.0, -2.0)) == 1


def test_a_weight_that_may_be_of_either_sign_says_nothing() -> None:
    x = row([0.0])
    assert int(_of("linear", x, ball([[1e-9]], 1e-8), None)) == 0
    assert int(_of("linear", x, ball([[1e-9]], 1e-10), None)) == 1


def test_a_sum_with_a_bias_has_no_sure_sign() -> None:
    x = row([0.0])
    assert int(_of("linear", x, ball([[1.0]]), ball([0.0]))) == 0


@pytest.mark.parametrize(("name", "function"), [("add", np.add), ("mul", np.multiply)])
def test_two_numbers_give_the_sign_that_ieee_gives(name: str, function: np.ufunc) -> None:
    for a, b in itertools.product((0.0, -0.0, 2.0, -2.0, -3.0), repeat=2):
        result = function(np.float32(a), np.float32(b))
        wanted = 0 if result else int(math.copysign(1, float(result)))
        assert int(_of(name, given([a]), given([b]))) == wanted, (a, b)


def test_a_literal_has_the_sign_that_it_shows() -> None:
    assert int(_of("mul", given([0.0]), -2.0)) == -1
    assert int(_of("mul", -2.0, given([-0.0]))) == 1
    assert int(_of("add", given([-0.0]), 0.0)) == 0
    assert int(_of("add", given([2.0]), -2.0)) == 1


def test_unary_rules() -> None:
    x = given([0.0, -0.0, 5.0])
    assert _of("neg", x).tolist() == [-1, 1, 0]
    assert _of("abs", x).tolist() == [1, 1, 0]
    assert _of("unsqueeze", x, 1).tolist() == [[1], [-1], [0]]


@pytest.mark.parametrize("name", ["log", "sign", "tanh"])
def test_a_primitive_without_a_rule_claims_nothing(name: str) -> None:
    x = given([1.0]) if name == "log" else given([-0.0])
    assert int(_of(name, x)) == 0


def test_a_zero_that_is_not_exact_has_no_sign() -> None:
    assert int(_of("neg", ball([0.0], 1e-30))) == 0
    assert _of("add", ball([1.0], 1e-9), ball([-1.0])).tolist() == [0]


def test_the_signs_of_inputs() -> None:
    x = torch.tensor([0.0, -0.0, 1e-45, -2.0, float("nan")], dtype=torch.float64)
    assert signs_of_zeros(x).tolist() == [1, -1, 0, 0, 0]


def _expected(model: nn.Module, x: list[float]) -> list[int]:
    profile = Profile()
    expected = expected_of(Reference(graph_of(model)), np.array([x], np.float32), [profile])[profile]
    found: list[int] = expected.zero[0].tolist()
    return found


@torch.no_grad()
def test_a_nac_says_what_pytorch_gives_where_it_is_sure() -> None:
    cell = NACCell(3, 3)
    cell.W_hat.copy_(torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0], [1.0, -1.0, 1.0]]))
    assert _expected(cell, [0.0, 0.0, 0.0]) == [1, 0, 1]
    assert _expected(cell, [-0.0, -0.0, -0.0]) == [0, 1, 1]
    assert _expected(cell, [1.0, 0.0, 0.0]) == [0, 0, 0]
    assert _expected(NAC(2, 2, 2), [1.0, 2.0]) == [0, 0]


@torch.no_grad()
def test_a_nalu_is_never_an_exact_zero() -> None:
    assert _expected(saturated(NALU(2, 1).layers[0]), [0.0, 0.0]) == [0]  # type: ignore[arg-type]
