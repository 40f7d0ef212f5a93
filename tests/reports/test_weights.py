"""nalu_export.reports._weights: what the heatmaps show."""

from typing import Any

import numpy as np
import pytest

from nalu_export.doctor import statistics
from nalu_export.parity.report import Report
from nalu_export.reports import _weights
from nalu_export.reports._weights import PALETTE, Weight


def _weight(values: Any) -> Weight:
    report = Report((), (), "bound", 0, weights={"layers.0": {"W": np.array(values, np.float32)}})
    (found,) = _weights.weights(report)
    return found


def test_near_and_gates_are_what_the_statistics_call_so() -> None:
    assert (_weights.NEAR, _weights.GATE) == (statistics.NEAR, statistics.GATE)


def test_a_small_weight_is_numbers() -> None:
    found = _weight([[1.0, -0.5], [0.0, -0.001]])
    assert [[cell.text for cell in row] for row in found.numbers] == [["1.00", "−0.50"], ["0", "0.00"]]
    assert [cell.share for cell in found.numbers[0]] == [1.0, 0.5]
    assert found.picture is None
    assert found.counts == (("at −1", 0, "0%"), ("at 0", 2, "50%"), ("at 1", 1, "25%"), ("elsewhere", 1, "25%"))
    assert found.description == "2 × 2 weights: 0 at −1, 2 at 0, 1 at 1, 1 elsewhere"


def test_a_gate_has_no_targets() -> None:
    weights = {name: np.array([[1.0, 0.0], [np.inf, 3.0]], np.float32) for name in ("W", "gate.W", "gate G")}
    found = _weights.weights(Report((), (), "bound", 0, weights={"cell": weights}))
    assert [[what for what, _, _ in each.counts] for each in found] == [
        ["at −1", "at 0", "at 1", "elsewhere", "NaN or infinite"],
        ["at −1", "at 0", "at 1", "elsewhere", "NaN or infinite"],
        ["NaN or infinite"],
    ]
    assert found[2].description == "2 × 2 weights: 1 NaN or infinite"


def test_a_larger_one_is_a_picture() -> None:
    found = _weight(np.zeros((4, 32)))
    assert found.numbers == ()
    assert (found.rows, found.columns, found.width, found.height) == (4, 32, 320, 40)
    assert found.notes == ()


def test_one_odd_weight_stays_visible_in_a_large_one() -> None:
    values = np.zeros((640, 130))
    values[333, 77] = -1.0
    assert (_weights._reduced(values) == -1.0).sum() == 1
    values[5, 5] = np.nan
    assert np.isnan(_weights._reduced(values)[0, 2])
    found = _weight(values)
    assert found.notes == ("drawn as 64 × 64: each cell is the value farthest from 0 in its block",)
    assert found.counts[1] == ("at 0", 83198, ">99%")
    assert found.counts[0] == ("at −1", 1, "<1%")
    assert found.counts[-1] == ("NaN or infinite", 1, "<1%")


def test_weights_beyond_one_are_told() -> None:
    found = _weight([[3.5, -1.005], [-12.0, 2000.0]])
    assert found.notes == ("3 weights beyond ±1, coloured as ±1; the largest is 2000",)
    assert found.numbers[1][1].text == "2000"


@pytest.mark.parametrize(("shape", "size"), [((), (1, 1)), ((5,), (1, 5)), ((2, 3, 4), (2, 12))])
def test_any_shape_is_drawn(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    found = _weight(np.ones(shape))
    assert (found.rows, found.columns) == size


def test_an_empty_weight_is_left_out() -> None:
    assert _weights.weights(Report((), (), "bound", 0, weights={"a": {"W": np.zeros((0, 3), np.float32)}})) == []


def test_the_colours_are_centred_and_symmetric() -> None:
    indices = _weights._indices(np.array([[-2.0, -1.0, 0.0, 1.0, np.nan]]))
    assert indices.tolist() == [[0, 0, 127, 254, 255]]
    assert PALETTE[127][3] == 0
    assert PALETTE[0][3] == PALETTE[254][3] == 255
    assert [PALETTE[127 - n][3] for n in range(128)] == [PALETTE[127 + n][3] for n in range(128)]
    assert len(set(PALETTE)) == 256
