"""Numbers as people read them, in every report, table and message.

A report holds numbers of any size, so all of them have few digits and a short power of ten: ``1.2e7``.
"""

import math

import numpy as np


def figure(value: float, digits: int = 3) -> str:
    """Return a measured number with a few digits: ``0.42``, ``12.3``, ``8321``, ``1.2e7``, ``∞``, ``NaN``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return _short(f"{value:.0f}" if 10**digits <= round(abs(value)) < 10**5 else f"{value:.{digits}g}")


def aligned(value: float) -> str:
    """Return a ratio or an E for a column of a text table, in at most seven characters.

    It has fixed decimals, unlike :func:`figure`, so that the points of most numbers in a column are below each other.
    """
    if not math.isfinite(value):
        return figure(value)
    if 0 < value < 0.001:
        return _short(f"{value:.0e}")
    return _short(f"{value:.3f}" if 0 < value < 0.1 else f"{value:.2f}" if value < 1000 else f"{value:.1e}")


def exact(value: float | np.generic) -> str:
    """Return the shortest text that reads back as the same number of its type, or ``NaN``, ``∞``."""
    if not np.isfinite(value):
        return figure(float(value))
    return _short(str(value).removesuffix(".0"))


def whole(value: int) -> str:
    """Return a count; from a million on with two digits: ``999,999``, ``2.1e9``."""
    return f"{value:,}" if value < 10**6 else _short(f"{value:.1e}")


def _short(text: str) -> str:
    """Return ``1.2e+07`` as ``1.2e7``."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text
