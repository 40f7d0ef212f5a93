"""nalu_export.primitives.precision: what one rounding costs in each arithmetic."""

import pytest
import torch
from hypothesis import given

from nalu_export.primitives.precision import DOUBLE, FLOAT32, FLOAT64, SINGLE, TF32, Precision, Profile
from tests.primitives.balls import NUMBERS, TINY, U, cut_to


def _double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@given(NUMBERS, NUMBERS)
def test_a_product_and_a_sum_are_off_by_at_most_their_roundoff(a: float, b: float) -> None:
    left, right = torch.tensor([a]), torch.tensor([b])
    for single, exact in (
        (left * right, left.double() * right.double()),
        (left + right, left.double() + right.double()),
    ):
        if bool(torch.isfinite(single).all()):
            radius = FLOAT32.rounded(exact, torch.zeros_like(exact))
            assert bool(((single.double() - exact).abs() <= radius).all())


def test_rounding_is_relative_to_the_largest_value_of_the_ball() -> None:
    found = FLOAT32.rounded(_double(2.0, -2.0), _double(0.5, 0.5), 3.0)
    torch.testing.assert_close(found, _double(0.5, 0.5) + 3.0 * U * 2.5 + TINY, rtol=1e-15, atol=0)


@pytest.mark.parametrize("precision", [FLOAT32, TF32, FLOAT64])
def test_an_exact_zero_stays_one_and_nothing_else_is_better_than_a_flush(precision: Precision) -> None:
    assert precision.rounded(_double(0.0), _double(0.0)).tolist() == [0.0]
    assert float(precision.rounded(_double(2.0**-1070), _double(0.0))) >= precision.tiny
    assert float(precision.rounded(_double(0.0), _double(2.0**-1070))) >= precision.tiny


@given(NUMBERS)
def test_a_constant_is_off_by_its_rounding(value: float) -> None:
    constant = _double(value, value * (1 + 1e-9), value / 3)
    radius = FLOAT32.representation(constant)
    assert float(radius[0]) == (0.0 if value == 0 or abs(value) >= TINY else abs(value))
    finite = torch.isfinite(constant.float())
    # Of another tanh in float64 too: rounded the other way where it is between two float32.
    for nearby in (constant, constant * (1 + 4 * DOUBLE), constant * (1 - 4 * DOUBLE)):
        off = (nearby.float().double() - constant).abs()
        between = constant.float().double() != constant
        assert bool((off <= radius)[finite & between].all())


@given(NUMBERS)
def test_a_constant_that_is_subnormal_may_be_read_as_zero(value: float) -> None:
    if abs(value) < TINY:
        assert float(FLOAT32.representation(_double(value))) == abs(value)


def test_a_constant_in_float64_may_be_off_in_its_last_bits() -> None:
    assert FLOAT64.representation(_double(0.3, 0.0)).tolist() == [8 * DOUBLE * 0.3, 0.0]


@given(NUMBERS, NUMBERS)
def test_tf32_factors_cut_off_or_rounded_stay_within_a_product(a: float, b: float) -> None:
    exact = a * b
    if not TINY * 2 <= abs(exact) < 2.0**120 or min(abs(a), abs(b)) < TINY:
        return
    short = float(cut_to(a, 13)) * float(cut_to(b, 13))
    assert abs(float(cut_to(short, 0)) - exact) <= (TF32.product + 2 * U) * abs(exact)
    assert abs(short - exact) <= TF32.product * abs(exact)


def test_tf32_leaves_the_roundoff_of_float32() -> None:
    number = 1.0 + 2.0**-11
    short = float(cut_to(number, 13)) ** 2
    off = abs(short - number**2) / number**2
    assert 1000 * FLOAT32.product < off <= TF32.product
    assert (FLOAT32.product, FLOAT32.addition, TF32.addition) == (SINGLE, SINGLE, 2 * SINGLE)
    assert (FLOAT64.product, FLOAT64.addition) == (DOUBLE, DOUBLE)


@pytest.mark.parametrize(
    ("profile", "inside", "outside"),
    [
        (Profile(), FLOAT32, FLOAT32),
        (Profile("float64"), FLOAT64, FLOAT32),
        (Profile(own_weights=True), FLOAT32, FLOAT32),
        (Profile(tf32=True), TF32, TF32),
        (Profile("float64", tf32=True), FLOAT64, TF32),
    ],
)
def test_a_profile_says_which_arithmetic_is_where(profile: Profile, inside: Precision, outside: Precision) -> None:
    assert (profile.inside, profile.outside) == (inside, outside)
