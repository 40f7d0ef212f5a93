"""nalu_export.parity.curves: for each size of the input, the output with the largest error over its bound."""

import math
from dataclasses import replace

import numpy as np
import pytest

from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Samples
from nalu_export.parity.curves import BINS_PER_DECADE, CurveBuilder
from nalu_export.parity.report import Curve


def _each(ratio: list[float], bound: float = 1.0) -> Samples:
    ratios = np.array(ratio, np.float64)
    bounds, none = np.full(len(ratio), bound), np.zeros(len(ratio), np.bool_)
    return Samples(ratios, ratios * bound, bounds, bounds / 8, none, np.zeros(len(ratio), np.intp))


def _x(*rows: list[float]) -> Batch:
    return Batch.of(np.array(rows, np.float32))


def test_nothing_is_an_empty_curve() -> None:
    assert CurveBuilder().build("r") == Curve("r", (), (), (), ())


def test_a_bin_keeps_its_worst_sample() -> None:
    builder = CurveBuilder()
    builder.add(_x([1.0, -1.5], [1.6, 0.0], [0.0, -1000.0]), _each([0.2, 0.5, 0.1]))
    builder.add(_x([1.2, 0.0]), _each([0.3]))
    curve = builder.build("r")
    assert curve.magnitude == pytest.approx((1.6, 1000.0), rel=1e-6)
    assert curve.error == (0.5, 0.1)
    assert curve.bound == (1.0, 1.0)
    assert curve.unit == (0.125, 0.125)


def test_bins_are_quarters_of_a_decade_in_order() -> None:
    builder = CurveBuilder()
    magnitudes = [10.0 ** ((k + 0.5) / BINS_PER_DECADE) for k in range(-20, 20)]
    builder.add(_x(*([number] for number in reversed(magnitudes))), _each([0.5] * 40))
    np.testing.assert_allclose(builder.build("r").magnitude, magnitudes, rtol=1e-6)


def test_zeros_have_a_place_of_their_own() -> None:
    builder = CurveBuilder()
    builder.add(_x([0.0], [1e-40]), _each([0.5, 0.25]))
    assert builder.build("r").magnitude == pytest.approx((0.0, 1e-40), abs=1e-44)


def test_a_mismatch_is_an_infinite_error() -> None:
    builder = CurveBuilder()
    builder.add(_x([1.0], [1.1]), replace(_each([0.5, 0.5]), ratio=np.array([0.5, np.inf])))
    assert math.isinf(builder.build("r").error[0])


def test_what_was_not_compared_is_left_out() -> None:
    builder = CurveBuilder()
    builder.add(_x([1.0], [2.0]), Samples.none(2))
    builder.add(_x([np.inf]), _each([0.5]))
    builder.add(_x([1.0]), _each([0.5], bound=np.inf))
    builder.add(_x([1.0], [2.0]), _each([]))
    builder.add(Batch.of(np.zeros((0, 2), np.float32)), _each([]))
    assert builder.build("r").magnitude == ()


def test_an_image_is_as_large_as_its_largest_pixel() -> None:
    builder = CurveBuilder()
    x = np.zeros((1, 2, 3, 3), np.float32)
    x[0, 1, 2, 0] = -7.0
    builder.add(Batch.of(x), _each([0.5]))
    assert builder.build("r").magnitude == (7.0,)
