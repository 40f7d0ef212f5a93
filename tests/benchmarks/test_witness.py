"""benchmarks.witness: the closed formula is an independent witness of nalu_export.parity."""

import math

import numpy as np
import pytest
import torch

from benchmarks import cells
from benchmarks.graphs import graph_of
from benchmarks.subjects import our_cell
from benchmarks.witness import ROUNDOFF, Parameters, witness
from nalu_export.parity.reference import Reference
from nalu_export.primitives.precision import Profile
from tests.alone import expected_of


@pytest.mark.parametrize("distribution", ["0.1..1", "1..10", "−10..10"])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("size", [2, 16])
def test_closed_formula_agrees_with_the_error_analysis(distribution: str, trained: bool, size: int) -> None:
    rng = np.random.default_rng(1)
    torch.manual_seed(1)
    parameters = cells.saturated(rng, size) if trained else cells.initialised(size)
    x = cells.RANGES[distribution](rng, (256, size))
    expected = expected_of(Reference(graph_of(our_cell(parameters))), x, [Profile()])[Profile()]
    found = witness(parameters, x)
    np.testing.assert_allclose(found.output, expected.reference, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ROUNDOFF * found.d, expected.unit, rtol=1e-2)


def test_one_cell_by_hand() -> None:
    one, zero = np.full((1, 1), 40.0, np.float32), np.zeros((1, 1), np.float32)
    x = np.array([[2.0]], np.float32)
    found = witness(Parameters(one, one, zero), x)  # W = 1, z = 0, so y = 2/2 + 2/2
    assert found.output.item() == pytest.approx(2.0)
    assert found.terms.item() == pytest.approx(2.0)
    assert found.d.item() == pytest.approx(1.0 + 1.0 * (1 + math.log(2.0)))
    wrong = np.array([[2.0 * (1 + 2**-20)]], np.float32)
    assert found.errors(wrong).item() == pytest.approx(2.0 * 2**-20 / (2**-24 * found.d.item()), rel=1e-4)


def test_what_is_not_finite_is_off_and_has_no_error() -> None:
    rng = np.random.default_rng(0)
    x = cells.RANGES["1..10"](rng, (3, 2))
    found = witness(cells.saturated(rng, 2), x)
    out = found.output.astype(np.float32)
    assert not found.off(out, 0.01).any()
    out[0, 0], out[1, 0], out[2, 0] = np.nan, np.inf, 1.1 * out[2, 0]
    assert found.off(out, 0.01).sum() == 3
    assert not np.isfinite(found.errors(out)[:2, 0]).any()


@pytest.mark.parametrize("size", cells.SIZES)
@pytest.mark.parametrize("distribution", cells.RANGES)
def test_exact_outputs_fit_into_float32(size: int, distribution: str) -> None:
    rng = np.random.default_rng(0)
    parameters = cells.saturated(rng, size)
    found = witness(parameters, cells.RANGES[distribution](rng, (512, size)))
    assert np.isfinite(found.output.astype(np.float32)).all()
    assert found.d.min() > np.finfo(np.float32).tiny / ROUNDOFF
