"""nalu_export.primitives, radii: no float32 evaluation leaves its radius, and no radius is wider than it has to be."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nalu_export.parity.analysis import OWN_ERROR
from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import COS, EXP, FLOAT32, FLOAT64, LOG, QUOTIENT, TANH, TF32, Precision
from tests.primitives.balls import MAX, NUMBERS, TINY, U, ball, balls, cut, cut_to, exact_sum, flushing, sums

Function = Callable[[Any], Any]
SLACK = 1.0 + OWN_ERROR
MODERATE = st.floats(-1e4, 1e4, width=32)
# Five of them multiplied in any order stay in range.
MIDDLING = st.one_of(st.floats(2.0**-20, 2.0**20, width=32), st.floats(-(2.0**20), -(2.0**-20), width=32), st.just(0.0))
POSITIVE = st.one_of(
    st.floats(2.0**-100, MAX, width=32), st.floats(0.875, 1.125, width=32), st.sampled_from([1e-10, 1.0])
)

# Each function of one number: in torch, in numpy, and the numbers that make sense.
UNARY: dict[str, tuple[Function, Function, st.SearchStrategy[float]]] = {
    "neg": (torch.neg, np.negative, NUMBERS),
    "abs": (torch.abs, np.abs, NUMBERS),
    "sign": (torch.sign, np.sign, NUMBERS),
    "log": (torch.log, np.log, POSITIVE),
    "exp": (torch.exp, np.exp, st.floats(-120, 88, width=32)),
    "tanh": (torch.tanh, np.tanh, NUMBERS),
    "sigmoid": (torch.sigmoid, lambda x: np.float32(1) / (np.float32(1) + np.exp(-x)), st.floats(-120, 120, width=32)),
    "sinh": (torch.sinh, np.sinh, st.floats(-88, 88, width=32)),
    "asinh": (torch.asinh, np.arcsinh, NUMBERS),
    "cos": (torch.cos, np.cos, MODERATE),
}
BINARY = ("add", "sub", "mul", "div")


def _radius(name: str, *arguments: Any, precision: Precision = FLOAT32) -> tuple[Tensor, Tensor]:
    result = PRIMITIVES[name].conditioned(precision, *arguments)
    return result.value, result.radius


def _holds(found: Any, value: Tensor, radius: Tensor) -> None:
    """Where the whole ball is in range."""
    got = torch.as_tensor(np.asarray(found), dtype=torch.float64)
    inside = value.abs() + radius <= MAX
    off = (got - value).abs()
    # The centre is computed in float64 as well.
    worse = inside & ~(off <= SLACK * radius + 2.0**-50 * value.abs())
    assert not bool(worse.any()), (got[worse], value[worse], radius[worse])


@pytest.mark.quick(7)
@pytest.mark.parametrize("name", UNARY)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_function_of_any_number_of_the_ball_stays_within_the_radius(name: str, data: st.DataObject) -> None:
    in_torch, in_numpy, numbers = UNARY[name]
    own, x = data.draw(balls(8, numbers))
    value, radius = _radius(name, x)
    single = np.array(own, np.float32)
    with np.errstate(all="ignore"):
        _holds(in_numpy(single), value, radius)
        _holds(in_torch(torch.from_numpy(single)).numpy(), value, radius)
        if name not in ("sign", "log"):  # those read a subnormal number, of which the analysis of x knows
            with flushing():
                flushed = in_torch(torch.from_numpy(single)).numpy()
            _holds(np.where(np.abs(single) < TINY, np.asarray(in_numpy(single)), flushed), value, radius)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", BINARY)
@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_two_numbers_of_their_balls_stay_within_the_radius(name: str, data: st.DataObject) -> None:
    (left, p), (right, q) = data.draw(balls(8)), data.draw(balls(8))
    value, radius = _radius(name, p, q)
    a, b = np.array(left, np.float32), np.array(right, np.float32)
    function = PRIMITIVES[name].function
    with np.errstate(all="ignore"):
        _holds(function(a, b), value, radius)
    _holds(function(torch.from_numpy(a), torch.from_numpy(b)).numpy(), value, radius)


@pytest.mark.parametrize("name", ["add", "sub"])
@given(NUMBERS, st.integers(-4, 4))
def test_cancellation_is_exact_only_for_exact_numbers(name: str, number: float, steps: int) -> None:
    near = np.float32(number)
    with np.errstate(over="ignore"):
        for _ in range(abs(steps)):
            near = np.nextafter(near, np.float32(math.copysign(np.inf, steps)))
    assume(bool(np.isfinite(near)))
    other = float(near) if name == "sub" else -float(near)
    value, radius = _radius(name, ball([number]), ball([other]))
    assert float(radius) <= 1.01 * (U * abs(float(value)) + TINY)
    if steps == 0:
        assert (float(value), float(radius)) == (0.0, 0.0)
    _, loose = _radius(name, ball([number], 1e-3), ball([other], 1e-3))
    assert float(loose) >= 2e-3


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("literal", [1.0, 1e-10, 0.1, 3.0])
def test_a_literal_is_rounded_to_the_type_that_computes(name: str, literal: float) -> None:
    x = ball([0.3, 7.0])
    for arguments in ((x, literal), (literal, x)):
        value, radius = _radius(name, *arguments)
        numbers = [a if isinstance(a, float) else a.value.float() for a in arguments]
        single = PRIMITIVES[name].function(
            *(torch.tensor(number) if isinstance(number, float) else number for number in numbers)
        )
        _holds(single.numpy(), value, radius + U * x.value)


def test_a_divisor_that_may_be_zero_leaves_no_bound() -> None:
    _, radius = _radius("div", ball([1.0, 1.0]), ball([1e-3, 1e-3], [1e-3, 0.9e-3]))
    assert math.isinf(radius[0])
    assert math.isfinite(radius[1])


def test_a_logarithm_of_what_may_be_zero_has_no_bound() -> None:
    _, radius = _radius("log", ball([1.0, 1.0], [1.0, 0.999]))
    assert math.isinf(radius[0])
    assert math.isfinite(radius[1])


def test_functions_are_enclosed_beyond_first_order() -> None:
    """An exponent that is off by 3 is a factor of 20."""
    assert float(_radius("exp", ball([0.0], 3.0))[1]) >= math.exp(3) - 1
    assert float(_radius("log", ball([1.0], 0.99))[1]) >= -math.log(0.01)
    assert float(_radius("sigmoid", ball([-30.0], 20.0))[1]) >= 1 / (1 + math.exp(10)) * 0.999
    assert float(_radius("tanh", ball([5.0], 5.0))[1]) >= math.tanh(5) * 0.999
    assert float(_radius("cos", ball([0.0], 1e9))[1]) <= 2.0 + COS * U


def test_a_settled_gate_has_no_error_but_its_rounding() -> None:
    for z in (-1e12, 1e12):
        value, radius = _radius("sigmoid", ball([z], abs(z) / 2))
        assert float(radius) <= 11.01 * U * float(value) + TINY


@pytest.mark.parametrize(
    ("name", "roundoffs"),
    [
        ("log", LOG),
        ("exp", EXP),
        ("tanh", TANH),
        ("sigmoid", EXP + 1 + QUOTIENT),
        ("neg", 0.0),
        ("abs", 0.0),
        ("sign", 0.0),
    ],
)
def test_an_exact_argument_costs_the_rounding_of_the_function_alone(name: str, roundoffs: float) -> None:
    value, radius = _radius(name, ball([0.5, 3.0, 20.0]))
    assert bool((radius <= 1.0001 * roundoffs * U * value.abs() + TINY).all())


def test_exact_zeros_have_no_radius() -> None:
    zero, number = ball([0.0, -0.0]), ball([3.0, 1e30], [1.0, 1e29])
    weight = ball([[0.5, -2.0], [0.0, 1.0]], [[U, U], [0.0, 0.0]])
    for name, arguments in {
        "add": (zero, zero), "sub": (zero, zero), "mul": (zero, number), "div": (zero, number), "neg": (zero,),
        "abs": (zero,), "sign": (zero,), "tanh": (zero,), "log": (ball([1.0, 1.0]),), "clamp": (zero, -1.0, 1.0),
        "linear": (zero, weight, None), "prod": (ball([[0.0, 5.0]]), -1, False), "unsqueeze": (zero, 0),
    }.items():  # fmt: skip
        value, radius = _radius(name, *arguments)
        assert not bool(value.any()), name
        assert not bool(radius.any()), name


@pytest.mark.parametrize(("value", "radius", "off"), [(1.0, 0.5, 0), (-1.0, 1.0, 2), (0.0, 0.0, 0), (0.0, 1e-30, 2)])
def test_a_sign_is_known_or_it_is_not(value: float, radius: float, off: float) -> None:
    assert float(_radius("sign", ball([value], radius))[1]) == off


@settings(max_examples=60, deadline=None)
@given(balls(6), st.sampled_from([(-1.0, 1.0), (0.0, None), (None, 0.1), (1e-10, 0.3)]))
def test_a_clamp_moves_nothing_further(drawn: tuple[list[float], Conditioned], ends: tuple[float, float]) -> None:
    own, x = drawn
    value, radius = _radius("clamp", x, *ends)
    _holds(torch.clamp(torch.tensor(own), *ends).numpy(), value, radius)


@settings(max_examples=100, deadline=None)
@given(balls(5, MIDDLING), st.booleans())
def test_a_product_of_many_stays_within_its_radius(drawn: tuple[list[float], Conditioned], keepdim: bool) -> None:
    own, x = drawn
    row = ball(x.value[None], x.radius[None])
    value, radius = _radius("prod", row, -1, keepdim)
    single = np.array(own, np.float32)
    assert radius.shape == value.shape
    found = [single.prod(), single[::-1].prod(), torch.from_numpy(single).prod().item()]
    for product in found:
        _holds(np.float32(product), value.flatten(), radius.flatten())


def test_shapes_and_types_change_no_radius() -> None:
    x = ball([[1.0, 2.0]], 0.25)
    assert _radius("unsqueeze", x, 1)[1].tolist() == [[[0.25, 0.25]]]
    assert _radius("cast", x, torch.float32)[1].tolist() == [[0.25, 0.25]]


# Sums -------------------------------------------------------------------------------------------------------------

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
    value, radius = _radius("linear", row, weight, bias, precision=precision)
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


def test_the_difference_of_two_overflows_determines_nothing() -> None:
    assert math.isinf(float(_radius("sub", ball([1e39]), ball([1e39]))[1]))
    assert math.isfinite(float(_radius("sub", ball([1e39]), ball([1.0]))[1]))
    assert math.isfinite(float(_radius("sub", ball([1e39]), ball([1e39]), precision=FLOAT64)[1]))


def test_an_exp_that_overflows_early_is_known_up_to_its_limit_only() -> None:
    early = replace(FLOAT32, exp_limit=80.0)
    _, radius = _radius("exp", ball([79.0, 79.0, 81.0], [0.5, 1.5, 0.0]), precision=early)
    assert torch.isinf(radius).tolist() == [False, True, True]
    assert bool(torch.isfinite(_radius("exp", ball([81.0]))[1]).all())


def test_a_sinh_overflows_two_past_its_exp_or_where_that_of_torch_does() -> None:
    """In an ONNX file it is made of exp(|x| − 2)."""
    early = replace(FLOAT32, exp_limit=80.0)
    _, radius = _radius("sinh", ball([81.0, -81.0, 82.5, -81.0], [0.5, 0.5, 0.0, 1.5]), precision=early)
    assert torch.isinf(radius).tolist() == [False, False, True, True]
    openvino = replace(FLOAT32, exp_limit=88.376)
    for precision in (FLOAT32, openvino):
        _, radius = _radius("sinh", ball([88.5, -88.7, 88.8]), precision=precision)
        assert torch.isinf(radius).tolist() == [False, False, True]


@pytest.mark.quick(7)
@pytest.mark.parametrize("name", [name for name in UNARY if name not in ("neg", "abs")] + list(BINARY))
@settings(max_examples=40, deadline=None)
@given(data=st.data(), factor=st.floats(1.0, 100.0))
def test_a_wider_ball_has_a_wider_result(name: str, data: st.DataObject, factor: float) -> None:
    numbers = UNARY[name][2] if name in UNARY else NUMBERS
    arguments = [data.draw(balls(4, numbers))[1] for _ in range(2 if name in BINARY else 1)]
    wider = [replace(x, radius=x.radius * factor) for x in arguments]
    (_, narrow), (_, wide) = _radius(name, *arguments), _radius(name, *wider)
    assert bool((wide >= narrow * (1 - 1e-12)).all())


def test_an_error_of_what_surely_lies_beyond_an_end_of_a_clamp_has_no_effect() -> None:
    clamp = PRIMITIVES["clamp"]
    x = ball([-1.0, -0.25, 0.5, 1.75, 3.0], 0.5)
    assert clamp.conditioned(FLOAT32, x, 0.0, None).radius.tolist() == pytest.approx([0.0, 0.25, 0.5, 0.5, 0.5])
    assert clamp.conditioned(FLOAT32, x, 0.0, 1.5).radius.tolist() == pytest.approx([0.0, 0.25, 0.5, 0.25, 0.0])
