"""Texts and numbers as every report shows them."""

import math

import numpy as np

# Longer texts come from damaged or hostile files; a person reads the start of them.
LONGEST = 1000


def clipped(text: str, longest: int = LONGEST) -> str:
    """The text, or its start and how long it is."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def figure(value: float, digits: int = 3) -> str:
    """A measured number to a few digits: ``0.42``, ``12.3``, ``8321``, ``1.2e7``, ``∞``, ``NaN``."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    return _short(f"{value:.0f}" if 10**digits <= round(abs(value)) < 10**5 else f"{value:.{digits}g}")


def exact(value: float | np.floating) -> str:
    """The shortest text that reads back as the same number of its type; NaN and infinity as :func:`figure` has them."""
    if not np.isfinite(value):
        return figure(float(value))
    return _short(str(value).removesuffix(".0"))


def _short(text: str) -> str:
    """``1.2e+07`` as ``1.2e7``."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else text


def count(value: int, singular: str, plural: str = "") -> str:
    """``1 output``, ``7 outputs``."""
    return f"{value} {singular if value == 1 else plural or singular + 's'}"
