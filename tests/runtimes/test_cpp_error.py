"""runtimes.cpp: the error of trained cells, in every input distribution of a check."""

import shutil

import numpy as np
import pytest

from benchmarks import cells, subjects
from nalu_export import formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import Compute
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from tests.captured import graph_of
from tests.formats.programs import COMPILERS

pytestmark = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C++ compiler here")
# 1 is what the rounding of the result alone may be, and float64 is not exact.
ALLOWED: dict[Compute, float] = {"float32": 5.0, "float64": 1.0 + 1e-6}


@pytest.mark.quick(1)
@pytest.mark.parametrize("compute", ALLOWED)
@pytest.mark.parametrize("inputs", cells.SIZES)
def test_trained_cells(inputs: int, compute: Compute) -> None:
    for seed in range(2 if compute == "float32" and inputs < max(cells.SIZES) else 1):
        cell = subjects.our_cell(cells.saturated(np.random.default_rng(seed), inputs))
        data = formats.get("cpp").emit(graph_of(cell), EmitOptions(compute=compute)).to_bytes({})
        report = check_bytes(
            CheckRequest(graph_of(cell), data, [((inputs,),)], compute, ["cpp"], CheckOptions(samples=256, search=0))
        )
        assert report.passed, report.summary()
        assert len(report.rows) > 8
        worst = max(report.rows, key=lambda row: row.max_e)
        assert 0 < worst.max_e <= ALLOWED[compute], f"{worst.distribution}: E {worst.max_e}"
