"""nalu_export.primitives, radii of sums of products: no order of float32 additions leaves them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import FLOAT32, FLOAT64, TF32, Precision
from tests.primitives.balls import MAX, SLACK, TINY, U, ball, balls, cut, cut_to, exact_sum, flushing, radius_of, sums

FACTORS = st.one_of(
    st.floats(-1e3, 1e3, width=32),
    st.floats(-(2.0**60), 2.0**60, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-100), 2.0**-70, 1e7, -1e7, 2.0**-25, 1 + 2.0**-23]),
)


@st.composite
def _terms(draw: st.DrawFn) -> tuple[int, list[float], Conditioned, list[float], Conditioned]:
    count = draw(st.integers(1, 24))
    xs, x = draw(balls(count, FACTORS))
    ws, w = draw(balls(count, FACTORS))
    if draw(st.booleans()):  # every second term takes the one before it away
        for index in range(1, count, 2):
            xs[index], ws[index] = xs[index - 1], -ws[index - 1]
            for given_, other in ((x, 1.0), (w, -1.0)):
                given_.value[index] = other * given_.value[index - 1]
                given_.radius[index] = given_.radius[index - 1]
    return count, xs, x, ws, w


def _sum_radius(
    x: Conditioned, w: Conditioned, bias: Conditioned | None = None, precision: Precision = FLOAT32
) -> tuple[float, float]:
    row, weight = ball(x.value[None], x.radius[None]), ball(w.value[None], w.radius[None])
    value, radius = radius_of("linear", row, weight, bias, precision=precision)
    assert value.shape == radius.shape == (1, 1)
    return float(value), float(radius)


def _sum_holds(found: list[float], exact: float, radius: float, size: float) -> None:
    for total in found:
        assert abs(total - exact) <= SLACK * radius + 2.0**-50 * size, (total, exact, radius)


@settings(max_examples=150, deadline=None)
@given(_terms())
def test_a_sum_in_any_order_stays_within_its_radius(
    drawn: tuple[int, list[float], Conditioned, list[float], Conditioned],
) -> None:
    _, xs, x, ws, w = drawn
    _, radius = _sum_radius(x, w)
    size = float(((x.value.abs() + x.radius) * (w.value.abs() + w.radius)).sum())
    if size + radius < MAX:
        exact = exact_sum(x.value.tolist(), w.value.tolist())
        _sum_holds(sums(xs, ws), exact, radius, size)
        _sum_holds([float(torch.tensor(xs) @ torch.tensor(ws))], exact, radius, size)


@settings(max_examples=150, deadline=None)
@given(_terms(), balls(1, FACTORS))
def test_a_bias_may_come_first(
    drawn: tuple[int, list[float], Conditioned, list[float], Conditioned], more: tuple[list[float], Conditioned]
) -> None:
    _, xs, x, ws, w = drawn
    (own,), bias = more
    _, radius = _sum_radius(x, w, bias)
    size = float(((x.value.abs() + x.radius) * (w.value.abs() + w.radius)).sum() + bias.value.abs() + bias.radius)
    if size + radius < MAX:
        exact = exact_sum(x.value.tolist(), w.value.tolist(), float(bias.value))
        _sum_holds(sums(xs, ws, own), exact, radius, size)


def test_a_large_bias_that_comes_first_swallows_every_term() -> None:
    ones = ball([1.0] * 100)
    small = ball([2.0**-25] * 100)
    _, radius = _sum_radius(ones, small, ball([1.0]))
    assert abs(sums([1.0] * 100, [2.0**-25] * 100, 1.0)[3] - (1.0 + 100 * 2.0**-25)) == 100 * 2.0**-25 <= radius


@pytest.mark.parametrize("count", [2, 16, 64, 256])
def test_light_terms_cost_no_more_than_they_are(count: int) -> None:
    """One weight of 1 and the rest of 1e-9, as a trained cell has them: about one roundoff, not ``count``."""
    x, w = ball([1.0] * count), ball([1.0, *[1e-9] * (count - 1)])
    value, radius = _sum_radius(x, w)
    assert radius <= 2.01 * U * value + count * (1e-9 + TINY)
    found = sums(x.value.tolist(), w.value.tolist())
    assert max(abs(total - value) for total in found) <= radius


@given(FACTORS, FACTORS)
def test_a_sum_of_one_term_is_one_rounding(a: float, b: float) -> None:
    value, radius = _sum_radius(ball([a, 0.0]), ball([b, 5.0]))
    assert radius <= 2.01 * U * abs(value) + TINY * (value != 0 or (a != 0 and b != 0)) * 1.01


@pytest.mark.parametrize("count", [1, 3, 100, 1000])
def test_a_sum_of_equal_terms_is_at_most_its_number_of_roundings(count: int) -> None:
    value, radius = _sum_radius(ball([0.3] * count), ball([0.7] * count))
    assert radius <= 1.001 * count * U * value + count * TINY
    assert radius >= 0.999 * count * U * value


def test_flushed_products_and_sums_are_allowed_for() -> None:
    x, w = [2.0**-70, 2.0**-70, 2.0**-63] * 5, [2.0**-60, -(2.0**-60), 2.0**-63] * 5
    _, radius = _sum_radius(ball(x), ball(w))
    with flushing():
        found = sums(x, w)
    _sum_holds(found, exact_sum(x, w), radius, 0.0)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(_terms())
def test_tf32_cut_off_stays_in_its_own_bound(
    drawn: tuple[int, list[float], Conditioned, list[float], Conditioned],
) -> None:
    _, xs, x, ws, w = drawn
    _, radius = _sum_radius(x, w, precision=TF32)
    size = float(((x.value.abs() + x.radius) * (w.value.abs() + w.radius)).sum())
    if size + radius < MAX and all(number == 0 or abs(number) >= TINY for number in (*xs, *ws)):
        short = [[float(cut_to(number, 13)) for number in numbers] for numbers in (xs, ws)]
        _sum_holds(sums(short[0], short[1], add=cut), exact_sum(x.value.tolist(), w.value.tolist()), radius, size)


def test_tf32_leaves_the_bound_of_float32() -> None:
    x, w = [1.0 + 2.0**-12, 3.1, 0.7], [0.123, 4.567, 8.9]
    numbers = ball([float(np.float32(a)) for a in x]), ball([float(np.float32(b)) for b in w])
    value, wide = _sum_radius(*numbers, precision=TF32)
    _, narrow = _sum_radius(*numbers)
    short = [[float(cut_to(number, 13)) for number in values] for values in (x, w)]
    for total in sums(short[0], short[1], add=cut):
        assert 50 * narrow < abs(total - value) <= wide


def test_float64_is_two_to_the_29th_narrower() -> None:
    x, w = ball([0.3, 0.7, -2.0]), ball([0.1, 5.0, 1.0])
    assert _sum_radius(x, w, precision=FLOAT64)[1] == pytest.approx(_sum_radius(x, w)[1] * 2.0**-29, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(_terms(), st.floats(1.0, 1e3))
def test_a_wider_ball_is_a_wider_sum(
    drawn: tuple[int, list[float], Conditioned, list[float], Conditioned], factor: float
) -> None:
    _, _, x, _, w = drawn
    wider = ball(x.value, x.radius * factor), ball(w.value, w.radius * factor)
    assert _sum_radius(*wider)[1] >= _sum_radius(x, w)[1]


def test_sums_that_overflow_in_both_signs_determine_nothing() -> None:
    big = ball([3e38, 3e38, -3e38])
    assert math.isinf(_sum_radius(big, ball([1.0, 1.0, 1.0]))[1])
    assert math.isfinite(_sum_radius(ball([3e38, 3e38, 3e38]), ball([1.0, 1.0, 1.0]))[1])  # +∞ in every order
    assert math.isfinite(_sum_radius(big, ball([0.1, 0.1, 0.1]))[1])
    assert math.isfinite(_sum_radius(big, ball([1.0, 1.0, 1.0]), precision=FLOAT64)[1])
    with np.errstate(over="ignore"):
        found = set(sums([3e38, 3e38, -3e38], [1.0, 1.0, 1.0]))
    assert {math.inf, float(np.float32(3e38))} <= found
