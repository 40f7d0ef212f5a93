"""The coordinates of the plots of E against the size of the input; the template of the page draws them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from nalu_export.io.figures import figure
from nalu_export.reports._axis import Axis, Range, Tick, axis, decades, place, power, step

if TYPE_CHECKING:
    from nalu_export.parity.report import Curve, Report

# In units of the drawing. A small phone has about as many pixels, so that text of 12 units is 11 pixels high or more.
WIDTH, HEIGHT = 320, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 306, 26, 178


@dataclass(frozen=True)
class Point:
    """One bin of the size of the input.

    Attributes:
        x: its position.
        y: its position.
        wrong: whether it is beyond its error bound.
        edge: ``"zero"`` or ``"infinite"`` if it is drawn at an edge for that value, else empty.
        title: its numbers in words.
    """

    x: float
    y: float
    wrong: bool
    edge: str
    title: str


@dataclass(frozen=True)
class Plot:
    """The plot of one runtime.

    Attributes:
        runtime: the name of the runtime.
        points: one point for each bin.
        lines: SVG paths through neighbouring points.
        area: SVG path of the area within the error bound; empty if no bound is finite.
        bound: SVG path of the upper edge of that area.
        axis: the axis of the magnitudes.
        y_ticks: powers of ten.
        description: the plot in words.
    """

    runtime: str
    points: tuple[Point, ...]
    lines: tuple[Markup, ...]
    area: Markup
    bound: Markup
    axis: Axis
    y_ticks: tuple[Tick, ...]
    description: str


@dataclass(frozen=True)
class _Values:
    """A curve in the unit of E."""

    runtime: str
    x: tuple[float, ...]
    e: tuple[float, ...]
    bound: tuple[float, ...]

    @property
    def wrong(self) -> int:
        return sum(_wrong(e, bound) for e, bound in zip(self.e, self.bound, strict=True))


def plots(report: "Report") -> list[Plot]:
    """Return a plot for each curve that has a point.

    All plots share the x axis. Those within their bounds share the y axis too.
    """
    found = [_values(curve) for curve in report.curves if curve.magnitude]
    x_axis = axis((x for values in found for x in values.x), LEFT, RIGHT)
    common = [y for values in found if not values.wrong for y in (*values.e, *values.bound)]
    return [_plot(values, x_axis, _range([*common, *values.e, *values.bound])) for values in found]


def _values(curve: "Curve") -> _Values:
    return _Values(
        curve.runtime,
        curve.magnitude,
        tuple(_quotient(error, unit) for error, unit in zip(curve.error, curve.unit, strict=True)),
        tuple(_quotient(bound, unit) for bound, unit in zip(curve.bound, curve.unit, strict=True)),
    )


def _quotient(value: float, unit: float) -> float:
    """Return ``value / unit``; a quotient without a value counts as infinite."""
    if value == 0:
        return 0.0
    if not math.isfinite(value) or not math.isfinite(unit) or unit <= 0:
        return math.inf
    return value / unit


def _wrong(e: float, bound: float) -> bool:
    return e == math.inf or e > bound


def _range(values: Iterable[float]) -> Range:
    """Return a range of at least one decade that contains every positive finite value."""
    logs = [math.log10(value) for value in values if 0 < value < math.inf]
    if not logs:
        return 0, 1
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return low, max(high, low + 1)


def _plot(values: _Values, x_axis: Axis, y_range: Range) -> Plot:
    places = [x_axis.find(x) for x in values.x]
    points = tuple(
        _point((magnitude, e, bound), x, y_range)
        for magnitude, e, bound, (_, x) in zip(values.x, values.e, values.bound, places, strict=True)
    )
    tops = [
        (x, _height(bound, y_range)) for (_, x), bound in zip(places, values.bound, strict=True) if 0 < bound < math.inf
    ]
    if len(tops) == 1:  # a line through one point would be invisible
        tops = [(tops[0][0] - 6, tops[0][1]), (tops[0][0] + 6, tops[0][1])]
    return Plot(
        runtime=values.runtime,
        points=points,
        lines=_lines([number for number, _ in places], points),
        area=_path([(tops[0][0], BOTTOM), *tops, (tops[-1][0], BOTTOM)], close=True) if tops else Markup(),
        bound=_path(tops),
        axis=x_axis,
        y_ticks=tuple(
            Tick(place(n, y_range, BOTTOM, TOP), power(n)) for n in decades(y_range, step(y_range[1] - y_range[0]))
        ),
        description=_description(values),
    )


def _point(numbers: tuple[float, float, float], x: float, y_range: Range) -> Point:
    magnitude, e, bound = numbers
    edge = "zero" if e == 0 else "infinite" if e == math.inf else ""
    y = BOTTOM if edge == "zero" else TOP if edge else _height(e, y_range)
    title = f"largest |x| {figure(magnitude)}: E {figure(e)}, at most {figure(bound)} is within the bound"
    return Point(x, y, _wrong(e, bound), edge, title)


def _height(value: float, y_range: Range) -> float:
    return place(math.log10(value), y_range, BOTTOM, TOP)


def _lines(segments: Sequence[int], points: Sequence[Point]) -> tuple[Markup, ...]:
    """Return a path through the points of each segment of the axis; no path crosses a cut."""
    groups: dict[int, list[tuple[float, float]]] = {}
    for segment, point in zip(segments, points, strict=True):
        groups.setdefault(segment, []).append((point.x, point.y))
    return tuple(_path(group) for group in groups.values() if len(group) > 1)


def _path(points: Sequence[tuple[float, float]], *, close: bool = False) -> Markup:
    text = "L".join(f"{x:g} {y:g}" for x, y in points)
    # The path contains numbers and path letters only.
    return Markup(f"M{text}{'Z' if close else ''}" if text else "")


def _description(values: _Values) -> str:
    inside = "every bin is within the bound"
    if values.wrong:
        inside = f"{values.wrong} of {len(values.e)} bins are beyond the bound"
    return f"{len(values.e)} bins of the largest |x|; {inside}; the largest E is {figure(max(values.e))}"
