"""The texts and numbers of all reports."""

import math

import numpy as np

# Longer texts come from damaged or hostile files; their start is enough for a person.
LONGEST = 1000


def clipped(text: str, longest: int = LONGEST) -> str:
    """Return the text, or, if it is too long, its start and its length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def figure(value: float, digits: int = 3) -> str:
    """Return a measured number with a few digits: ``0.42``, ``12.3``, ``8321``, ``1.2e7``, ``∞``, ``NaN``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return _short(f"{value:.0f}" if 10**digits <= round(abs(value)) < 10**5 else f"{value:.{digits}g}")


def exact(value: float | np.floating) -> str:
    """Return the shortest text that reads back as the same number; NaN and infinity are as in :func:`figure`."""
    if not np.isfinite(value):
        return figure(float(value))
    return _short(str(value).removesuffix(".0"))


def _short(text: str) -> str:
    """Turn ``1.2e+07`` into ``1.2e7``."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text


def count(value: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 output``, ``7 outputs``."""
    return f"{value} {singular if value == 1 else plural or singular + 's'}"
