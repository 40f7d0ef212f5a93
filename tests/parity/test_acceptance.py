"""nalu_export.parity.acceptance: what passes, as a bound and a kind."""

import math

import numpy as np
import pytest

from nalu_export.parity.acceptance import ANY, acceptance
from nalu_export.parity.reference import Expected

UNIT = 2.0**-24
MAX = float(np.finfo(np.float32).max)


def _expected(
    reference: list[float],
    *,
    bound: float = 4 * UNIT,
    overflow: int = 0,
    zero: int = 0,
    torch: list[float] | None = None,
) -> Expected:
    """Of one sample, with a bound relative to the reference."""
    values = np.array([reference], np.float64)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32) if torch is None else np.array([torch], np.float32)
    size = np.where(np.isfinite(values), np.maximum(np.abs(values), 2.0**-126), 1.0)
    overflows, zeros = (np.full(values.shape, number, np.int8) for number in (overflow, zero))
    return Expected(values, bound * size, UNIT * size, overflows, zeros, single)


@pytest.mark.parametrize(
    ("expected", "bound", "kind"),
    [
        (_expected([1.0], bound=0.5), 0.5, 0),
        (_expected([math.nan], bound=0.5), 0.5, 1),
        (_expected([math.inf], bound=0.5), 0.5, 2),
        (_expected([-1e40], bound=0.0), 0.0, 3),
        (_expected([-MAX], bound=UNIT), UNIT * MAX, 3),
        (_expected([1.0], bound=2.0 * MAX), 2.0 * MAX, 2),
        (_expected([1.0], bound=math.inf), math.inf, ANY),
        (_expected([1.0], bound=math.nan), math.inf, ANY),
        (_expected([1.0], bound=0.5, overflow=1), 0.5, 0),
        (_expected([1.0], bound=0.5, overflow=1, torch=[math.nan]), 0.5, ANY),
        (_expected([math.inf], bound=0.5, overflow=1, torch=[1.0]), math.inf, 2),
        (_expected([math.inf], bound=0.5, overflow=1), math.inf, ANY),
    ],
)
def test_what_passes_as_two_numbers(expected: Expected, bound: float, kind: int) -> None:
    found = acceptance(expected, "float32")
    assert (float(found.bound[0, 0]), int(found.kind[0, 0])) == (bound, kind)


def test_a_zero_whose_bound_leaves_float32_has_no_other_kind() -> None:
    zero = np.zeros((1, 1))
    none = zero.astype(np.int8)
    expected = Expected(zero, zero + 1e39, zero + 1.0, none, none, zero.astype(np.float32))
    assert int(acceptance(expected, "float32").kind[0, 0]) == 0
