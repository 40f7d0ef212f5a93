"""What is expected of one sample, for tests of what passes."""

import numpy as np

from nalu_export.parity.reference import Expected

UNIT = 2.0**-24
MAX = float(np.finfo(np.float32).max)


def expected_of(
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
