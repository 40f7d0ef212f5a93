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

from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import COS, EXP, FLOAT32, FLOAT64, LOG, QUOTIENT, TANH
from tests.primitives.balls import MAX, NUMBERS, SLACK, TINY, U, ball, balls, flushing, radius_of

Function = Callable[[Any], Any]
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
    value, radius = radius_of(name, x)
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
    value, radius = radius_of(name, p, q)
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
    value, radius = radius_of(name, ball([number]), ball([other]))
    assert float(radius) <= 1.01 * (U * abs(float(value)) + TINY)
    if steps == 0:
        assert (float(value), float(radius)) == (0.0, 0.0)
    _, loose = radius_of(name, ball([number], 1e-3), ball([other], 1e-3))
    assert float(loose) >= 2e-3


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("literal", [1.0, 1e-10, 0.1, 3.0])
def test_a_literal_is_rounded_to_the_type_that_computes(name: str, literal: float) -> None:
    x = ball([0.3, 7.0])
    for arguments in ((x, literal), (literal, x)):
        value, radius = radius_of(name, *arguments)
        numbers = [a if isinstance(a, float) else a.value.float() for a in arguments]
        single = PRIMITIVES[name].function(
            *(torch.tensor(number) if isinstance(number, float) else number for number in numbers)
        )
        _holds(single.numpy(), value, radius + U * x.value)


def test_a_divisor_that_may_be_zero_leaves_no_bound() -> None:
    _, radius = radius_of("div", ball([1.0, 1.0]), ball([1e-3, 1e-3], [1e-3, 0.9e-3]))
    assert math.isinf(radius[0])
    assert math.isfinite(radius[1])


def test_a_logarithm_of_what_may_be_zero_has_no_bound() -> None:
    _, radius = radius_of("log", ball([1.0, 1.0], [1.0, 0.999]))
    assert math.isinf(radius[0])
    assert math.isfinite(radius[1])


def test_functions_are_enclosed_beyond_first_order() -> None:
    """An exponent that is off by 3 is a factor of 20."""
    assert float(radius_of("exp", ball([0.0], 3.0))[1]) >= math.exp(3) - 1
    assert float(radius_of("log", ball([1.0], 0.99))[1]) >= -math.log(0.01)
    assert float(radius_of("sigmoid", ball([-30.0], 20.0))[1]) >= 1 / (1 + math.exp(10)) * 0.999
    assert float(radius_of("tanh", ball([5.0], 5.0))[1]) >= math.tanh(5) * 0.999
    assert float(radius_of("cos", ball([0.0], 1e9))[1]) <= 2.0 + COS * U


def test_a_settled_gate_has_no_error_but_its_rounding() -> None:
    for z in (-1e12, 1e12):
        value, radius = radius_of("sigmoid", ball([z], abs(z) / 2))
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
    value, radius = radius_of(name, ball([0.5, 3.0, 20.0]))
    assert bool((radius <= 1.0001 * roundoffs * U * value.abs() + TINY).all())


def test_exact_zeros_have_no_radius() -> None:
    zero, number = ball([0.0, -0.0]), ball([3.0, 1e30], [1.0, 1e29])
    weight = ball([[0.5, -2.0], [0.0, 1.0]], [[U, U], [0.0, 0.0]])
    for name, arguments in {
        "add": (zero, zero), "sub": (zero, zero), "mul": (zero, number), "div": (zero, number), "neg": (zero,),
        "abs": (zero,), "sign": (zero,), "tanh": (zero,), "log": (ball([1.0, 1.0]),), "clamp": (zero, -1.0, 1.0),
        "linear": (zero, weight, None), "prod": (ball([[0.0, 5.0]]), -1, False), "unsqueeze": (zero, 0),
    }.items():  # fmt: skip
        value, radius = radius_of(name, *arguments)
        assert not bool(value.any()), name
        assert not bool(radius.any()), name


@pytest.mark.parametrize(("value", "radius", "off"), [(1.0, 0.5, 0), (-1.0, 1.0, 2), (0.0, 0.0, 0), (0.0, 1e-30, 2)])
def test_a_sign_is_known_or_it_is_not(value: float, radius: float, off: float) -> None:
    assert float(radius_of("sign", ball([value], radius))[1]) == off


@settings(max_examples=60, deadline=None)
@given(balls(6), st.sampled_from([(-1.0, 1.0), (0.0, None), (None, 0.1), (1e-10, 0.3)]))
def test_a_clamp_moves_nothing_further(drawn: tuple[list[float], Conditioned], ends: tuple[float, float]) -> None:
    own, x = drawn
    value, radius = radius_of("clamp", x, *ends)
    _holds(torch.clamp(torch.tensor(own), *ends).numpy(), value, radius)


@settings(max_examples=100, deadline=None)
@given(balls(5, MIDDLING), st.booleans())
def test_a_product_of_many_stays_within_its_radius(drawn: tuple[list[float], Conditioned], keepdim: bool) -> None:
    own, x = drawn
    row = ball(x.value[None], x.radius[None])
    value, radius = radius_of("prod", row, -1, keepdim)
    single = np.array(own, np.float32)
    assert radius.shape == value.shape
    found = [single.prod(), single[::-1].prod(), torch.from_numpy(single).prod().item()]
    for product in found:
        _holds(np.float32(product), value.flatten(), radius.flatten())


def test_shapes_and_types_change_no_radius() -> None:
    x = ball([[1.0, 2.0]], 0.25)
    assert radius_of("unsqueeze", x, 1)[1].tolist() == [[[0.25, 0.25]]]
    assert radius_of("cast", x, torch.float32)[1].tolist() == [[0.25, 0.25]]


def test_the_difference_of_two_overflows_determines_nothing() -> None:
    assert math.isinf(float(radius_of("sub", ball([1e39]), ball([1e39]))[1]))
    assert math.isfinite(float(radius_of("sub", ball([1e39]), ball([1.0]))[1]))
    assert math.isfinite(float(radius_of("sub", ball([1e39]), ball([1e39]), precision=FLOAT64)[1]))


def test_an_exp_that_overflows_early_is_known_up_to_its_limit_only() -> None:
    early = replace(FLOAT32, exp_limit=80.0)
    _, radius = radius_of("exp", ball([79.0, 79.0, 81.0], [0.5, 1.5, 0.0]), precision=early)
    assert torch.isinf(radius).tolist() == [False, True, True]
    assert bool(torch.isfinite(radius_of("exp", ball([81.0]))[1]).all())


def test_a_sinh_overflows_two_past_its_exp_or_where_that_of_torch_does() -> None:
    """In an ONNX file it is made of exp(|x| − 2)."""
    early = replace(FLOAT32, exp_limit=80.0)
    _, radius = radius_of("sinh", ball([81.0, -81.0, 82.5, -81.0], [0.5, 0.5, 0.0, 1.5]), precision=early)
    assert torch.isinf(radius).tolist() == [False, False, True, True]
    openvino = replace(FLOAT32, exp_limit=88.376)
    for precision in (FLOAT32, openvino):
        _, radius = radius_of("sinh", ball([88.5, -88.7, 88.8]), precision=precision)
        assert torch.isinf(radius).tolist() == [False, False, True]


@pytest.mark.quick(7)
@pytest.mark.parametrize("name", [name for name in UNARY if name not in ("neg", "abs")] + list(BINARY))
@settings(max_examples=40, deadline=None)
@given(data=st.data(), factor=st.floats(1.0, 100.0))
def test_a_wider_ball_has_a_wider_result(name: str, data: st.DataObject, factor: float) -> None:
    numbers = UNARY[name][2] if name in UNARY else NUMBERS
    arguments = [data.draw(balls(4, numbers))[1] for _ in range(2 if name in BINARY else 1)]
    wider = [replace(x, radius=x.radius * factor) for x in arguments]
    (_, narrow), (_, wide) = radius_of(name, *arguments), radius_of(name, *wider)
    assert bool((wide >= narrow * (1 - 1e-12)).all())


def test_an_error_of_what_surely_lies_beyond_an_end_of_a_clamp_has_no_effect() -> None:
    clamp = PRIMITIVES["clamp"]
    x = ball([-1.0, -0.25, 0.5, 1.75, 3.0], 0.5)
    assert clamp.conditioned(FLOAT32, x, 0.0, None).radius.tolist() == pytest.approx([0.0, 0.25, 0.5, 0.5, 0.5])
    assert clamp.conditioned(FLOAT32, x, 0.0, 1.5).radius.tolist() == pytest.approx([0.0, 0.25, 0.5, 0.25, 0.0])
