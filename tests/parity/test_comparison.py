"""nalu_export.parity.comparison: what passes, and every way in which something must not."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nalu_export.parity.comparison import Tolerance, compare, limit
from nalu_export.parity.reference import Expected

Array = NDArray[np.float32]
TOLERANCE = Tolerance(5.0)
UNIT = 2.0**-24
MAX = float(np.finfo(np.float32).max)


def _expected(reference: list[float], *, overflow: int = 0, torch: list[float] | None = None) -> Expected:
    values = np.array([reference], np.float64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32) if torch is None else np.array([torch], np.float32)
    error = UNIT * np.where(np.isfinite(values), np.maximum(np.abs(values), 2.0**-126), 1.0)
    return Expected(values, error, np.full(values.shape, overflow, np.int8), single)


def _out(values: list[float]) -> Array:
    return np.array([values], np.float32)


def test_the_rounded_reference_passes() -> None:
    found = compare(_out([1.0, -2.5, 0.0]), _expected([1.0, -2.5, 0.0]), TOLERANCE)
    assert (found.passed, found.max_e, found.max_ulp, found.nonfinite_mismatches) == (True, 0.0, 0, 0)


@pytest.mark.parametrize(("factor", "passed"), [(4.9, True), (5.1, False), (-4.9, True), (-5.1, False)])
def test_the_limit_is_the_limit(factor: float, passed: bool) -> None:
    reference = 1.5
    found = compare(_out([reference]), _expected([reference + factor * UNIT * reference]), TOLERANCE)
    assert found.passed is passed
    assert found.max_e == pytest.approx(abs(factor), rel=1e-4)


@pytest.mark.parametrize(
    ("out", "reference"),
    [
        (np.nan, 1.0), (np.inf, 1.0), (-np.inf, 1.0), (1.0, np.nan), (0.0, np.inf), (-np.inf, np.inf), (np.nan, np.inf),
        (np.inf, np.nan), (MAX, np.inf), (MAX, 1e40), (0.0, -1e40),
    ],
)  # fmt: skip
def test_a_value_that_is_not_finite_must_match_in_kind(out: float, reference: float) -> None:
    found = compare(_out([1.0, out]), _expected([1.0, reference]), TOLERANCE)
    assert not found.passed
    assert found.nonfinite_mismatches == 1
    assert found.worst == 0


@pytest.mark.parametrize(("out", "reference"), [(np.nan, np.nan), (np.inf, np.inf), (np.inf, 1e40), (-np.inf, -1e40)])
def test_the_right_kind_passes(out: float, reference: float) -> None:
    assert compare(_out([out]), _expected([reference]), TOLERANCE).passed


def test_at_the_largest_float32_rounding_decides() -> None:
    for out in (MAX, np.inf):
        assert compare(_out([out]), _expected([MAX * (1 + UNIT / 2)]), TOLERANCE).passed
    assert not compare(_out([-np.inf]), _expected([MAX * (1 + UNIT / 2)]), TOLERANCE).passed


def test_after_an_overflow_on_the_way_pytorch_is_the_measure() -> None:
    overflowed = _expected([3.0], overflow=1, torch=[np.nan])
    assert compare(_out([np.inf]), overflowed, TOLERANCE).passed
    assert compare(_out([3.0]), overflowed, TOLERANCE).passed
    assert not compare(_out([4.0]), overflowed, TOLERANCE).passed
    assert not compare(_out([np.inf]), _expected([3.0], overflow=1), TOLERANCE).passed


def test_float64_is_not_excused_by_an_overflow_of_float32() -> None:
    overflowed = _expected([3.0], overflow=1, torch=[np.nan])
    assert not compare(_out([np.nan]), overflowed, Tolerance(1.0, "float64")).passed
    assert compare(_out([np.nan]), _expected([3.0], overflow=2, torch=[np.nan]), Tolerance(1.0, "float64")).passed


def test_outputs_without_a_digit_are_left_out_and_counted() -> None:
    expected = Expected(np.ones((1, 2)), np.array([[UNIT, np.inf]]), np.array([[0, 1]], np.int8), _out([1.0, 1.0]))
    found = compare(_out([1.0, -7.0]), expected, TOLERANCE)
    assert found.passed
    assert found.undetermined == 1


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (np.ones((1, 3), np.float32), r"output is float32 \(1, 3\), expected float32 \(1, 2\)"),
        (np.ones(2, np.float32), r"output is float32 \(2,\), expected"),
        (np.ones((1, 2), np.float64), r"output is float64 \(1, 2\), expected float32"),
        (np.ones((1, 2), np.float16), r"output is float16"),
    ],
)
def test_another_shape_or_type_fails(out: NDArray[np.generic], problem: str) -> None:
    found = compare(out, _expected([1.0, 1.0]), TOLERANCE)
    assert not found.passed
    assert re.search(problem, found.problem)


def test_comparing_nothing_is_not_a_pass() -> None:
    empty = Expected(np.ones((0, 2)), np.ones((0, 2)), np.zeros((0, 2), np.int8), np.ones((0, 2), np.float32))
    assert not compare(np.ones((0, 2), np.float32), empty, TOLERANCE).passed


def test_minus_zero_is_zero_steps_from_zero() -> None:
    assert compare(_out([-0.0]), _expected([0.0]), TOLERANCE).max_ulp == 0


@given(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), st.integers(1, 1000))
def test_ulp_counts_float32_steps(value: float, steps: int) -> None:
    out = np.float32(value)
    for _ in range(steps):
        out = np.nextafter(out, np.float32(np.inf))
    assert compare(_out([float(out)]), _expected([value]), Tolerance(np.inf)).max_ulp == steps


@pytest.mark.parametrize(
    ("rtol", "atol", "passed"), [(1e-3, None, True), (1e-4, None, False), (None, 1e-2, True), (None, 1e-3, False)]
)
def test_tolerances_compare_with_pytorch_instead(rtol: float | None, atol: float | None, passed: bool) -> None:
    expected = _expected([1e3 * 2], torch=[10.0])  # far from the reference: it must not matter
    assert compare(_out([10.005]), expected, Tolerance(5.0, "float32", rtol, atol)).passed is passed


@pytest.mark.parametrize("out", [np.nan, np.inf])
def test_tolerances_do_not_forgive_nan(out: float) -> None:
    assert not compare(_out([out]), _expected([1.0]), Tolerance(5.0, "float32", 1e9, 1e9)).passed


def test_the_worst_sample_is_named() -> None:
    reference = np.ones((4, 1))
    expected = Expected(reference, UNIT * reference, np.zeros((4, 1), np.int8), reference.astype(np.float32))
    out = reference.astype(np.float32)
    out[2] = np.float32(1 + 2e-7)
    assert compare(out, expected, TOLERANCE).worst == 2


def test_limits() -> None:
    assert limit("float64", 256) == 1.0
    assert limit("float32", 4) == 6.0
    assert limit("float32", 256) == 13.0
    assert limit("float32", 4, own_weights=True) == 11.0
    assert limit("float32", 4, 2) == 7.0
    assert limit("float64", 256, 200) == 1.0
