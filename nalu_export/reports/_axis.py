"""The x axis of the plots: logarithmic, with empty decades cut out and a place of its own for 0.

matplotlib has no logarithmic axis with both of these. It is also 35 MB large, while jinja2, which the HTML report
needs, is 1 MB.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

Range = tuple[int, int]

GAP = 24.0  # width of a cut, in units of the drawing
FAR = 6  # up to so many decades without a sample are not cut out
MOST_TICKS = 5
LABEL = 34.0  # width of a label, in units of the drawing
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Segment:
    """A range of decades without a cut, and its position in the drawing."""

    low: int
    high: int
    left: float
    right: float

    def place(self, decade: float) -> float:
        """Return the position of ``10**decade``."""
        return place(decade, (self.low, self.high), self.left, self.right)


@dataclass(frozen=True)
class Axis:
    """The positions of magnitudes in the drawing.

    Attributes:
        zero: the position of magnitude 0; ``None`` if no sample has it.
        segments: the ranges of decades, from left to right.
        cuts: the positions where decades are cut out.
        ticks: the labelled positions.
    """

    zero: float | None
    segments: tuple[Segment, ...]
    cuts: tuple[float, ...]
    ticks: tuple[Tick, ...]

    def find(self, magnitude: float) -> tuple[int, float]:
        """Return the number of the segment that contains the magnitude (−1 for zero), and its position."""
        if magnitude <= 0:
            return -1, self.zero or 0.0
        decade = math.log10(magnitude)
        number = next(i for i, segment in enumerate(self.segments) if decade <= segment.high)
        return number, self.segments[number].place(decade)


def axis(magnitudes: Iterable[float], left: float, right: float) -> Axis:
    """Return an axis between two positions that contains all of these magnitudes."""
    values = list(magnitudes)
    zero = left if any(value <= 0 for value in values) else None
    ranges = _ranges(math.log10(value) for value in values if value > 0)
    start = left if zero is None else left + GAP
    scale = (right - start - GAP * (len(ranges) - 1)) / max(1, sum(high - low for low, high in ranges))
    segments: list[Segment] = []
    for low, high in ranges:
        segments.append(Segment(low, high, start, start + scale * (high - low)))
        start = segments[-1].right + GAP
    cuts = [segment.left - GAP / 2 for segment in (segments if zero is not None else segments[1:])]
    return Axis(zero, tuple(segments), tuple(cuts), tuple(_ticks(zero, segments)))


def _ranges(logs: Iterable[float]) -> list[Range]:
    """Return the ranges of decades that contain these logarithms, split at wide gaps."""
    found: list[Range] = []
    for log in sorted(logs):
        low, high = math.floor(log), math.ceil(log)
        if found and low - found[-1][1] <= FAR:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return [(low, max(high, low + 1)) for low, high in found]


def _ticks(zero: float | None, segments: list[Segment]) -> Iterable[Tick]:
    total = sum(segment.high - segment.low for segment in segments)
    last = -LABEL
    if zero is not None:
        yield Tick(zero, "0")
        last = zero
    for segment in segments:
        for decade in decades((segment.low, segment.high), step(total)) or [segment.low]:
            at = segment.place(decade)
            if at - last >= LABEL - 10 * (last == zero):  # "0" is short
                yield Tick(at, power(decade))
                last = at


def step(total: int) -> int:
    """Return the number of decades between two labels, for an axis of ``total`` decades."""
    return max(1, math.ceil(total / (MOST_TICKS - 1)))


def decades(limits: Range, every: int) -> list[int]:
    """Return the multiples of ``every`` within the limits."""
    return list(range(math.ceil(limits[0] / every) * every, limits[1] + 1, every))


def place(decade: float, limits: Range, start: float, end: float) -> float:
    """Return the position of a power of ten between two positions."""
    low, high = limits
    return round(start + (decade - low) / (high - low) * (end - start), 1)


def power(exponent: int) -> str:
    """Return a power of ten as text: ``1``, ``10``, ``10⁻³``."""
    return "1" if exponent == 0 else "10" if exponent == 1 else f"10{str(exponent).translate(SUPERSCRIPT)}"
