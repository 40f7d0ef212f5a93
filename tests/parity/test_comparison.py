"""nalu_export.parity.comparison: what passes, and every way in which something must not."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nalu_export.parity.comparison import Samples, Tolerance, compare, compare_all, failed
from nalu_export.parity.reference import Expected
from nalu_export.parity.verdict import Status
from tests.parity.expected import MAX, UNIT, expected_of

Array = NDArray[np.float32]
BOUND = Tolerance()


def _out(values: list[float]) -> Array:
    return np.array([values], np.float32)


def test_the_rounded_reference_passes() -> None:
    found = compare(_out([1.0, -2.5, 0.0]), expected_of([1.0, -2.5, 0.0]), BOUND)
    assert found.passed
    assert (found.samples, found.outputs, found.max_ratio, found.max_e) == (1, 3, 0.0, 0.0)
    assert (found.max_ulp, found.max_ulp_torch, found.nonfinite_mismatches, found.wrong_zeros) == (0, 0, 0, 0)
    assert (found.undetermined, found.problem) == (0, "")


@pytest.mark.parametrize(("factor", "passed"), [(3.9, True), (4.1, False), (-3.9, True), (-4.1, False)])
def test_the_bound_is_the_bound(factor: float, passed: bool) -> None:
    reference = 1.5
    found = compare(_out([reference]), expected_of([reference + factor * UNIT * reference]), BOUND)
    assert found.passed is passed
    assert found.max_e == pytest.approx(abs(factor), rel=1e-4)
    assert found.max_ratio == pytest.approx(abs(factor) / 4, rel=1e-4)


def test_what_must_be_exact_and_is_not_has_an_infinite_ratio() -> None:
    exact = expected_of([1.0, 0.0], bound=0.0)
    assert compare(_out([1.0, 0.0]), exact, BOUND).passed
    for out in ([1.0, 1e-45], [float(np.nextafter(np.float32(1), np.float32(2))), 0.0]):
        found = compare(_out(out), exact, BOUND)
        assert not found.passed
        assert math.isinf(found.max_ratio)
        assert found.nonfinite_mismatches == 0
        assert np.isinf(found.each.ratio).all()


@pytest.mark.parametrize(
    ("out", "reference"),
    [
        (np.nan, 1.0), (np.inf, 1.0), (-np.inf, 1.0), (1.0, np.nan), (0.0, np.inf), (-np.inf, np.inf), (np.nan, np.inf),
        (np.inf, np.nan), (MAX, np.inf), (MAX, 1e40), (0.0, -1e40),
    ],
)  # fmt: skip
def test_a_value_that_is_not_finite_must_match_in_kind(out: float, reference: float) -> None:
    found = compare(_out([1.0, out]), expected_of([1.0, reference]), BOUND)
    assert not found.passed
    assert found.nonfinite_mismatches == 1
    assert math.isinf(found.max_ratio)


@pytest.mark.parametrize(("out", "reference"), [(np.nan, np.nan), (np.inf, np.inf), (np.inf, 1e40), (-np.inf, -1e40)])
def test_the_right_kind_passes(out: float, reference: float) -> None:
    assert compare(_out([out]), expected_of([reference]), BOUND).passed


def test_at_the_largest_float32_rounding_decides() -> None:
    for out in (MAX, np.inf):
        assert compare(_out([out]), expected_of([MAX * (1 + UNIT / 2)]), BOUND).passed
    assert not compare(_out([-np.inf]), expected_of([MAX * (1 + UNIT / 2)]), BOUND).passed
    assert not compare(_out([np.nan]), expected_of([MAX * (1 + UNIT / 2)]), BOUND).passed


def test_after_an_overflow_on_the_way_pytorch_is_the_excuse() -> None:
    overflowed = expected_of([3.0], overflow=1, torch=[np.nan])
    excused = compare(_out([np.inf]), overflowed, BOUND)
    assert (excused.status, excused.undetermined) == (Status.NOTHING, 1)
    assert compare(_out([3.0]), overflowed, BOUND).passed
    both = expected_of([3.0, 1.0], overflow=1, torch=[np.nan, 1.0])
    assert compare(_out([np.nan, 1.0]), both, BOUND).passed
    assert compare(_out([np.nan, 2.0]), both, BOUND).status is Status.FAILED
    assert not compare(_out([4.0]), overflowed, BOUND).passed
    # PyTorch manages, and so must the runtime.
    assert not compare(_out([np.inf]), expected_of([3.0], overflow=1), BOUND).passed
    # Doing better than the reference says is no fault.
    assert compare(_out([3.0]), expected_of([np.inf], overflow=1, torch=[np.inf]), BOUND).passed


def test_float64_is_not_excused_by_an_overflow_of_float32() -> None:
    overflowed = expected_of([3.0], overflow=1, torch=[np.nan])
    assert not compare(_out([np.nan]), overflowed, Tolerance("float64")).passed
    excused = compare(_out([np.nan]), expected_of([3.0], overflow=2, torch=[np.nan]), Tolerance("float64"))
    assert excused.status is Status.NOTHING


def test_a_zero_whose_bound_leaves_float32_is_no_excuse_for_infinity() -> None:
    zero = np.zeros((1, 1))
    none = zero.astype(np.int8)
    expected = Expected(zero, zero + 1e39, zero + 1.0, none, none, zero.astype(np.float32))
    assert not compare(_out([np.inf]), expected, BOUND).passed


def test_outputs_without_a_digit_are_left_out_and_counted() -> None:
    plain = expected_of([1.0, 1.0])
    overflow = np.array([[0, 1]], np.int8)
    expected = Expected(plain.reference, np.array([[UNIT, np.inf]]), plain.unit, overflow, plain.zero, plain.torch)
    found = compare(_out([1.0, -7.0]), expected, BOUND)
    assert found.passed
    assert found.undetermined == 1
    assert found.max_e == 0.0


@pytest.mark.parametrize(
    ("zero", "out", "wrong"), [(1, -0.0, 1), (1, 0.0, 0), (-1, 0.0, 1), (-1, -0.0, 0), (0, -0.0, 0)]
)
def test_a_zero_of_the_wrong_sign_fails_where_the_sign_is_sure(zero: int, out: float, wrong: int) -> None:
    found = compare(_out([out]), expected_of([0.0], bound=0.0, zero=zero), BOUND)
    assert found.passed is (wrong == 0)
    assert found.wrong_zeros == wrong
    assert found.max_ratio == (math.inf if wrong else 0.0)
    assert found.nonfinite_mismatches == 0


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (np.ones((1, 3), np.float32), r"output is float32 \(1, 3\), expected float32 \(1, 2\)"),
        (np.ones(2, np.float32), r"output is float32 \(2,\), expected"),
        (np.ones((1, 2), np.float64), r"output is float64 \(1, 2\), expected float32"),
        (np.ones((1, 2), np.float16), r"output is float16"),
        (np.ones((1, 2), np.int64), r"output is int64"),
    ],
)
def test_another_shape_or_type_fails(out: NDArray[np.generic], problem: str) -> None:
    found = compare_all([out], [expected_of([1.0, 1.0])], ["output"], BOUND)
    assert not found.passed
    assert re.match(problem, found.problem)
    assert (found.outputs, found.max_ratio) == (0, math.inf)


def test_of_several_outputs_the_one_that_is_of_another_type_is_named() -> None:
    expected, names = [expected_of([1.0]), expected_of([2.0])], ["y", "z"]
    found = compare_all([_out([1.0]), np.ones((1, 1))], expected, names, BOUND)
    assert found.problem == "output z is float64 (1, 1), expected float32 (1, 1)"
    found = compare_all([_out([1.0])], expected, names, BOUND)
    assert found.problem == "the runtime returned 1 output, expected 2"
    assert not found.passed
    assert compare_all([], expected[:1], names[:1], BOUND).problem == "the runtime returned 0 outputs, expected 1"


def test_several_outputs_are_compared_as_one() -> None:
    expected, names = [expected_of([1.0, 2.0]), expected_of([4.0])], ["y", "z"]
    right = compare_all([_out([1.0, 2.0]), _out([4.0])], expected, names, BOUND)
    assert (right.passed, right.samples, right.outputs, right.uncompared_outputs) == (True, 1, 3, ())
    wrong = compare_all([_out([1.0, 2.0]), _out([5.0])], expected, names, BOUND)
    assert wrong.status is Status.FAILED
    assert wrong.each.output.tolist() == [1]
    assert wrong.each.ratio.tolist() == [wrong.max_ratio]
    assert (wrong.each.error.tolist(), wrong.each.bound.tolist()) == ([1.0], [4.0 * 4 * UNIT])
    unknown = [expected[0], expected_of([4.0], bound=math.inf)]
    silent = compare_all([_out([1.0, 2.0]), _out([9.0])], unknown, names, BOUND)
    assert (silent.status, silent.uncompared_outputs, silent.undetermined) == (Status.PASSED, (1,), 1)
    assert silent.each.left_out.tolist() == [True]


@pytest.mark.parametrize("dtype", [np.int64, np.bool_])
def test_integers_and_truth_values_have_to_be_exact(dtype: type) -> None:
    reference, none = np.array([[1.0, 0.0]]), np.zeros((1, 2), np.int8)
    exact: NDArray[np.generic] = np.array([[1, 0]], dtype)
    expected = Expected(reference, np.zeros((1, 2)), np.ones((1, 2)), none, none, exact)
    assert compare_all([exact], [expected], ["y"], BOUND).passed
    found = compare_all([np.array([[1, 1]], dtype)], [expected], ["y"], BOUND)
    assert (found.status, found.max_ratio) == (Status.FAILED, math.inf)
    assert not compare_all([exact.astype(np.float32)], [expected], ["y"], BOUND).passed
    undecided = Expected(reference, np.array([[0.0, np.inf]]), np.ones((1, 2)), none, none, exact)
    found = compare_all([np.array([[1, 1]], dtype)], [undecided], ["y"], BOUND)
    assert (found.status, found.undetermined) == (Status.PASSED, 1)


def test_a_failure_counts_its_samples() -> None:
    found = failed(3, "it broke")
    assert (found.samples, found.outputs, found.passed, found.problem) == (3, 0, False, "it broke")
    assert np.isinf(found.each.ratio).all()
    assert np.isnan(found.each.bound).all()
    assert len(Samples.none(0).ratio) == 0


@pytest.mark.parametrize("shape", [(0, 2), (3, 0)])
def test_comparing_nothing_is_not_a_pass(shape: tuple[int, int]) -> None:
    nothing, none = np.ones(shape), np.zeros(shape, np.int8)
    expected = Expected(nothing, nothing, nothing, none, none, nothing.astype(np.float32))
    for tolerance in (BOUND, Tolerance(rtol=1.0)):
        assert compare(np.ones(shape, np.float32), expected, tolerance).status is Status.NOTHING


def test_outputs_without_a_bound_alone_are_nothing_compared() -> None:
    expected = expected_of([1.0, 2.0], bound=math.inf)
    found = compare(_out([1.0, 7.0]), expected, BOUND)
    assert (found.status, found.undetermined, found.passed) == (Status.NOTHING, 2, False)
    assert (found.max_ratio, found.max_ulp, found.max_ulp_torch) == (0.0, 0, 0)
    assert found.each.left_out.tolist() == [True]
    # Nearness to PyTorch's output needs no bound.
    found = compare(_out([1.0, 7.0]), expected, Tolerance(rtol=1.0))
    assert (found.status, found.undetermined) == (Status.FAILED, 0)
    assert compare(_out([1.0, 2.0]), expected, Tolerance(rtol=1.0)).passed


def test_minus_zero_is_zero_steps_from_zero() -> None:
    assert compare(_out([-0.0]), expected_of([0.0]), BOUND).max_ulp == 0


@given(st.floats(-(2.0**100), 2.0**100, width=32), st.integers(1, 1000))
def test_ulp_counts_float32_steps(value: float, steps: int) -> None:
    out = np.float32(value)
    for _ in range(steps):
        out = np.nextafter(out, np.float32(np.inf))
    found = compare(_out([float(out)]), expected_of([value], bound=1.0), BOUND)
    assert found.max_ulp == found.max_ulp_torch == steps
    for allowed in (steps - 1, steps):
        tolerance = Tolerance(max_ulp=allowed)
        assert compare(_out([float(out)]), expected_of([value], bound=0.0), tolerance).passed is (allowed == steps)


@pytest.mark.parametrize(
    ("rtol", "atol", "passed"), [(1e-3, None, True), (1e-4, None, False), (None, 1e-2, True), (None, 1e-3, False)]
)
def test_tolerances_compare_with_pytorch_instead(rtol: float | None, atol: float | None, passed: bool) -> None:
    expected = expected_of([1e3 * 2], torch=[10.0])  # far from the reference: it must not matter
    found = compare(_out([10.005]), expected, Tolerance("float32", rtol, atol))
    assert found.passed is passed
    assert found.max_ratio > 1e6  # still told


@pytest.mark.parametrize("tolerance", [Tolerance(rtol=1e9, atol=1e9), Tolerance(max_ulp=2**32)])
@pytest.mark.parametrize("out", [np.nan, np.inf])
def test_tolerances_do_not_forgive_nan(out: float, tolerance: Tolerance) -> None:
    assert not compare(_out([out]), expected_of([1.0]), tolerance).passed
    assert compare(_out([out]), expected_of([1.0], torch=[out]), tolerance).passed


def test_tolerances_say_what_they_are() -> None:
    assert str(Tolerance()) == str(Tolerance("float64")) == "bound"
    assert str(Tolerance(rtol=1e-3)) == "rtol 0.001, atol 0 from PyTorch"
    assert str(Tolerance(atol=0.5)) == "rtol 0, atol 0.5 from PyTorch"
    assert str(Tolerance(max_ulp=0)) == "at most 0 ULP from PyTorch"
    assert [Tolerance(max_ulp=0).against_torch, Tolerance(rtol=0.0).against_torch, BOUND.against_torch] == [1, 1, 0]


def test_of_each_sample_the_output_with_the_largest_share_of_its_bound_is_kept() -> None:
    reference = np.array([[1.0, 100.0], [1.0, 100.0], [1.0, 1.0]])
    bound = np.array([[1e-6, 1.0], [1e-6, 1.0], [1e-6, 1e-6]])
    none = np.zeros((3, 2), np.int8)
    out = np.array([[1.0, 100.5], [1 + 2.0**-21, 100.25], [np.nan, 1.0]], np.float32)
    expected = Expected(reference, bound, bound / 2, none, none, reference.astype(np.float32))
    each = compare(out, expected, BOUND).each
    np.testing.assert_allclose(each.ratio, [0.5, 2.0**-21 / 1e-6, np.inf], rtol=1e-9)
    np.testing.assert_allclose(each.error[:2], [0.5, 2.0**-21])
    np.testing.assert_allclose(each.bound, [1.0, 1e-6, 1e-6])
    np.testing.assert_allclose(each.unit, [0.5, 5e-7, 5e-7])
