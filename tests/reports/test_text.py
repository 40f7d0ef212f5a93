"""nalu_export.reports._text: texts and numbers."""

import math

import numpy as np
import pytest

from nalu_export.reports._text import LONGEST, clipped, count, exact, figure


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


def test_long_text_says_how_long_it_is() -> None:
    assert clipped("a" * LONGEST) == "a" * LONGEST
    assert clipped("a" * (LONGEST + 1)) == "a" * LONGEST + f"… ({LONGEST + 1} characters)"
    assert clipped("abcdef", 3) == "abc… (6 characters)"


def test_one_is_not_plural() -> None:
    assert [count(n, "output") for n in (0, 1, 2)] == ["0 outputs", "1 output", "2 outputs"]
    assert count(2, "distribution", "distributions") == "2 distributions"
