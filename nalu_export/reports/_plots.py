"""Error against the size of the input, as coordinates; the page's template draws them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from nalu_export.reports._text import figure

if TYPE_CHECKING:
    from nalu_export.parity.report import Curve, Report

# In units of the drawing, which is as wide on a small phone as there are pixels: 12 units of text are 11 or more.
WIDTH, HEIGHT = 320, 220
LEFT, RIGHT, TOP, BOTTOM = 42, 308, 14, 178
ZERO_GAP = 26  # between the place of magnitude 0 and the axis
MOST_TICKS = 5
FAR = 2.0  # decades without a sample over which no line is drawn
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Range = tuple[int, int]


@dataclass(frozen=True)
class Point:
    """One bin: where it is drawn, whether it is beyond its bound, whether the edge stands for 0 or infinity."""

    x: float
    y: float
    wrong: bool
    edge: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Plot:
    """One runtime's curve.

    Attributes:
        runtime: its name.
        points: one for each bin.
        lines: SVG paths through neighbouring points.
        area: SVG path of what is allowed, empty where no bound is finite.
        bound: SVG path of its upper edge.
        x_ticks: powers of ten, and 0 where there is one.
        y_ticks: powers of ten.
        zero: x of magnitude 0, where a sample has it.
        description: in words.
    """

    runtime: str
    points: tuple[Point, ...]
    lines: tuple[Markup, ...]
    area: Markup
    bound: Markup
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    zero: float | None
    description: str


@dataclass(frozen=True)
class _Values:
    """A curve in the unit of its bound."""

    runtime: str
    x: tuple[float, ...]
    e: tuple[float, ...]
    bound: tuple[float, ...]

    @property
    def wrong(self) -> bool:
        return any(_wrong(e, bound) for e, bound in zip(self.e, self.bound, strict=True))


def plots(report: "Report") -> list[Plot]:
    """One for each curve that has a point. All share the x axis, those within their bounds the y axis as well."""
    found = [_values(curve) for curve in report.curves if curve.magnitude]
    x_range = _range(x for values in found for x in values.x)
    common = [y for values in found if not values.wrong for y in (*values.e, *values.bound)]
    zero = any(x == 0 for values in found for x in values.x)
    return [_plot(values, x_range, _range([*common, *values.e, *values.bound]), zero=zero) for values in found]


def _values(curve: "Curve") -> _Values:
    return _Values(
        curve.runtime,
        curve.magnitude,
        tuple(_quotient(error, unit) for error, unit in zip(curve.error, curve.unit, strict=True)),
        tuple(_quotient(bound, unit) for bound, unit in zip(curve.bound, curve.unit, strict=True)),
    )


def _quotient(value: float, unit: float) -> float:
    """``value / unit``; what has no value is as bad as infinite."""
    if value == 0:
        return 0.0
    if not math.isfinite(value) or not math.isfinite(unit) or unit <= 0:
        return math.inf
    return value / unit


def _wrong(e: float, bound: float) -> bool:
    return e == math.inf or e > bound


def _range(values: Iterable[float]) -> Range:
    """Decades that hold every positive finite value, at least one of them."""
    logs = [math.log10(value) for value in values if 0 < value < math.inf]
    if not logs:
        return 0, 1
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return low, max(high, low + 1)


def _plot(values: _Values, x_range: Range, y_range: Range, *, zero: bool) -> Plot:
    left = LEFT + (ZERO_GAP if zero else 0)
    points = tuple(
        _point(x, e, bound, (_scale(x, x_range, left, RIGHT) if x > 0 else float(LEFT)), y_range)
        for x, e, bound in zip(values.x, values.e, values.bound, strict=True)
    )
    tops = [
        (point.x, _scale(bound, y_range, BOTTOM, TOP))
        for point, bound in zip(points, values.bound, strict=True)
        if 0 < bound < math.inf
    ]
    zeros = (Tick(float(LEFT), "0"),) if zero else ()
    return Plot(
        runtime=values.runtime,
        points=points,
        lines=tuple(_lines(values.x, points)),
        area=_path([(tops[0][0], BOTTOM), *tops, (tops[-1][0], BOTTOM)], close=True) if len(tops) > 1 else Markup(),
        bound=_bound(tops),
        x_ticks=zeros + _ticks(x_range, left, RIGHT),
        y_ticks=_ticks(y_range, BOTTOM, TOP),
        zero=float(LEFT) if zero else None,
        description=_description(values),
    )


def _bound(tops: Sequence[tuple[float, float]]) -> Markup:
    if len(tops) == 1:  # a line of one point would not show
        (x, y) = tops[0]
        return _path([(x - 6, y), (x + 6, y)])
    return _path(tops)


def _point(magnitude: float, e: float, bound: float, x: float, y_range: Range) -> Point:
    edge = "zero" if e == 0 else "infinite" if e == math.inf else ""
    y = {"zero": float(BOTTOM), "infinite": float(TOP)}.get(edge) or _scale(e, y_range, BOTTOM, TOP)
    title = f"largest |x| {figure(magnitude)}: error {figure(e)}, allowed {figure(bound)}"
    return Point(round(x, 1), round(y, 1), _wrong(e, bound), edge, title)


def _scale(value: float, decades: Range, start: float, end: float) -> float:
    return _place(math.log10(value), decades, start, end)


def _place(decade: float, decades: Range, start: float, end: float) -> float:
    low, high = decades
    return round(start + (decade - low) / (high - low) * (end - start), 1)


def _ticks(decades: Range, start: float, end: float) -> tuple[Tick, ...]:
    low, high = decades
    step = max(1, math.ceil((high - low) / (MOST_TICKS - 1)))
    first = math.ceil(low / step) * step
    return tuple(Tick(_place(n, decades, start, end), _power(n)) for n in range(first, high + 1, step))


def _power(exponent: int) -> str:
    return "1" if exponent == 0 else "10" if exponent == 1 else f"10{str(exponent).translate(SUPERSCRIPT)}"


def _lines(magnitudes: Sequence[float], points: Sequence[Point]) -> list[Markup]:
    """Through neighbours; not to or from magnitude 0, and not over decades that no sample has."""
    groups: list[list[tuple[float, float]]] = []
    last = 0.0
    for magnitude, point in zip(magnitudes, points, strict=True):
        near = last > 0 and magnitude > 0 and math.log10(magnitude / last) <= FAR
        if not near or not groups:
            groups.append([])
        groups[-1].append((point.x, point.y))
        last = magnitude
    return [_path(group) for group in groups if len(group) > 1]


def _path(points: Sequence[tuple[float, float]], *, close: bool = False) -> Markup:
    text = "L".join(f"{x:g} {y:g}" for x, y in points)
    # Numbers and path letters only.
    return Markup(f"M{text}{'Z' if close else ''}" if text else "")


def _description(values: _Values) -> str:
    wrong = sum(_wrong(e, bound) for e, bound in zip(values.e, values.bound, strict=True))
    inside = "every bin is within its bound" if not wrong else f"{wrong} of {len(values.e)} bins are beyond their bound"
    return f"{len(values.e)} bins of input magnitude; {inside}; the largest E is {figure(max(values.e))}"
