"""nalu_export.io.figures: numbers as people read them."""

import math

import numpy as np
import pytest

from nalu_export.io.figures import aligned, exact, figure, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.42149, "0.421"),
        (12.34, "12.3"),
        (999.6, "1000"),
        (1000.0, "1000"),
        (8321.4, "8321"),
        (790123.0, "7.9e5"),
        (1.5e-7, "1.5e-7"),
        (-23.04, "-23"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "NaN"),
    ],
)
def test_a_figure_is_short(value: float, text: str) -> None:
    assert figure(value) == text


@pytest.mark.parametrize("value", [0.1, 1e-45, 16777216.0, -1.0, 3.4e38, 1e-7])
def test_an_exact_number_reads_back(value: float) -> None:
    assert np.float32(exact(np.float32(value))) == np.float32(value)


def test_exact_numbers_are_the_shortest() -> None:
    assert [exact(np.float32(value)) for value in (0.1, 2.0, -0.0, 1.5e20, 1e-5)] == [
        "0.1",
        "2",
        "-0",
        "1.5e20",
        "1e-5",
    ]
    assert [exact(np.float32(value)) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", "-∞"]


def test_integers_and_truth_values_are_exact() -> None:
    assert [exact(value) for value in (np.int64(-3), np.uint8(200), np.bool_(True))] == ["-3", "200", "True"]


@pytest.mark.parametrize("digits", [2, 3, 9])
def test_the_digits_of_a_figure(digits: int) -> None:
    assert figure(1 / 3, digits) == f"0.{'3' * digits}"
    assert figure(1e30 / 3, digits) == f"3.{'3' * (digits - 1)}e29"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (1.2e-5, "1e-5"),
        (0.0123, "0.012"),
        (0.1, "0.10"),
        (12.5, "12.50"),
        (999.994, "999.99"),
        (1234.5, "1.2e3"),
        (1e7, "1.0e7"),
        (1.5e300, "1.5e300"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "NaN"),
    ],
)
def test_aligned_figures_fit_a_column(value: float, text: str) -> None:
    assert aligned(value) == text
    assert len(text) <= 7


def test_counts() -> None:
    assert [whole(value) for value in (0, 999, 999_999, 10**6, 2**31)] == ["0", "999", "999,999", "1.0e6", "2.1e9"]
