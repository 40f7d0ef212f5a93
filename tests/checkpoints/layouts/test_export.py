"""From a file of every public layout to a checked ONNX file: what it computes is what its implementation computes."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from nalu_export import export
from tests.checkpoints.layouts.case import Published
from tests.checkpoints.layouts.loading import inputs, written
from tests.checkpoints.layouts.published import ALL

# One place of each unit is enough here: reading the others is tested beside this.
UNITS = list({(case.layout, tuple(case.keys)): case for case in ALL}.values())
# The file computes in float64 and hands its result on in float32.
ROUNDING = 2.0**-23


@pytest.mark.parametrize("case", UNITS, ids=str)
def test_the_file_computes_what_the_implementation_computes(case: Published, tmp_path: Path) -> None:
    rng = np.random.default_rng(21)
    dims = (3, 3) if case.square else (3, 4)
    state = case.state(rng, dims)
    artifact = export(written(state, tmp_path), compute="float64", layout=case.layout)
    assert artifact.report.passed
    x = inputs(rng, dims[0]).astype(np.float32)
    x = x[(np.abs(x) <= 100).all(axis=1)]
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": x})
    expected = case.reference(state, x.astype(np.float64))
    off = np.abs(found - expected.value) / np.maximum(expected.size, 1e-30)
    assert float(off.max()) <= ROUNDING
