"""nalu_export.reports._plots: where things are drawn."""

import math
from itertools import pairwise

import pytest

from nalu_export.parity.report import Curve, Report
from nalu_export.reports import _plots
from nalu_export.reports._axis import LABEL, axis
from nalu_export.reports._plots import BOTTOM, LEFT, RIGHT, TOP, Plot


def _plots_of(*curves: Curve) -> list[Plot]:
    return _plots.plots(Report((), (), "bound", 0, curves=curves))


def _curve(magnitude: list[float], e: list[float], bound: float = 8.0, unit: float = 2.0) -> Curve:
    error = tuple(value * unit for value in e)
    return Curve("r", tuple(magnitude), error, (bound * unit,) * len(e), (unit,) * len(e))


def test_heights_are_e_and_its_bound_in_decades() -> None:
    (plot,) = _plots_of(_curve([1.0, 10.0, 100.0], [0.1, 1.0, 10.0], bound=1.0))
    assert [point.y for point in plot.points] == [BOTTOM, (BOTTOM + TOP) / 2, TOP]
    assert [point.x for point in plot.points] == [LEFT, (LEFT + RIGHT) / 2, RIGHT]
    assert [point.wrong for point in plot.points] == [False, False, True]
    assert plot.bound == "M44 102L175 102L306 102"
    assert plot.area == "M44 178L44 102L175 102L306 102L306 178Z"
    assert [tick.label for tick in plot.y_ticks] == ["10⁻¹", "1", "10"]
    assert plot.description == ("3 bins of the largest |x|; 1 of 3 bins are beyond the bound; the largest E is 10")
    assert plot.points[2].title == "largest |x| 100: E 10, at most 1 is within the bound"


def test_zero_error_is_at_the_bottom_and_infinity_at_the_top() -> None:
    (plot,) = _plots_of(_curve([1.0, 2.0, 3.0], [0.0, math.inf, math.nan]))
    assert [(point.y, point.edge) for point in plot.points] == [
        (BOTTOM, "zero"),
        (TOP, "infinite"),
        (TOP, "infinite"),
    ]
    assert [point.wrong for point in plot.points] == [False, True, True]


def test_magnitude_zero_has_a_place_of_its_own_and_no_line_to_it() -> None:
    (plot,) = _plots_of(_curve([0.0, 1.0, 10.0], [1.0, 1.0, 1.0]))
    assert plot.points[0].x == plot.axis.zero == LEFT
    assert plot.axis.ticks[0].label == "0"
    assert plot.points[1].x > LEFT + 10
    assert len(plot.lines) == 1
    assert plot.lines[0].count("L") == 1


def test_decades_without_samples_are_cut_out() -> None:
    found = axis([0.0, 1e-44, 2e-39, 0.5, 1e6, 1e7], LEFT, RIGHT)
    assert [(segment.low, segment.high) for segment in found.segments] == [(-44, -38), (-1, 7)]
    assert len(found.cuts) == 2
    assert found.segments[-1].right == pytest.approx(RIGHT)
    places = [tick.at for tick in found.ticks]
    assert all(b - a >= LABEL - 10 for a, b in pairwise(places))


def test_curves_within_their_bounds_share_the_axes() -> None:
    good, other, bad = _plots_of(_curve([1.0, 1e3], [1.0, 2.0]), _curve([1.0, 1e5], [0.01, 2.0]), _curve([1.0], [1e9]))
    assert good.y_ticks == other.y_ticks
    assert good.axis == other.axis == bad.axis
    assert bad.y_ticks != good.y_ticks


@pytest.mark.parametrize(
    "curve",
    [
        Curve("r", (0.0,), (0.0,), (0.0,), (0.0,)),
        Curve("r", (1e-45, 3.4e38), (1e300, 1e-300), (1.0, 1.0), (1e-300, 1e300)),
        Curve("r", (1.0,), (math.inf,), (math.inf,), (math.nan,)),
        Curve("r", (1.0,), (1.0,), (2.0,), (0.0,)),
    ],
)
def test_no_number_breaks_the_drawing(curve: Curve) -> None:
    (plot,) = _plots_of(curve)
    for point in plot.points:
        assert LEFT <= point.x <= RIGHT
        assert TOP <= point.y <= BOTTOM


def test_a_curve_without_points_is_left_out() -> None:
    assert _plots_of(Curve("r", (), (), (), ())) == []
