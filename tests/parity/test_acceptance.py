"""nalu_export.parity.acceptance: what passes, as a bound and a kind."""

import math

import numpy as np
import pytest

from nalu_export.parity.acceptance import ANY, acceptance
from nalu_export.parity.reference import Expected
from tests.parity.expected import MAX, UNIT, expected_of


@pytest.mark.parametrize(
    ("expected", "bound", "kind"),
    [
        (expected_of([1.0], bound=0.5), 0.5, 0),
        (expected_of([math.nan], bound=0.5), 0.5, 1),
        (expected_of([math.inf], bound=0.5), 0.5, 2),
        (expected_of([-1e40], bound=0.0), 0.0, 3),
        (expected_of([-MAX], bound=UNIT), UNIT * MAX, 3),
        (expected_of([1.0], bound=2.0 * MAX), 2.0 * MAX, 2),
        (expected_of([1.0], bound=math.inf), math.inf, ANY),
        (expected_of([1.0], bound=math.nan), math.inf, ANY),
        (expected_of([1.0], bound=0.5, overflow=1), 0.5, 0),
        (expected_of([1.0], bound=0.5, overflow=1, torch=[math.nan]), 0.5, ANY),
        (expected_of([math.inf], bound=0.5, overflow=1, torch=[1.0]), math.inf, 2),
        (expected_of([math.inf], bound=0.5, overflow=1), math.inf, ANY),
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
