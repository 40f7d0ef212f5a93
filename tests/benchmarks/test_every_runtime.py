"""benchmarks.every_runtime: every runtime that is here has a row, and E is what the project says."""

import pytest

from benchmarks import every_runtime
from nalu_export.parity.inputs import DISTRIBUTIONS
from tests.formats.programs import needs_compiler


@pytest.mark.slow
@needs_compiler
def test_a_cell_in_every_runtime() -> None:
    found = every_runtime.measure((2,), 1)
    assert {
        ("onnxruntime-cpu", "float64"),
        ("torchscript", "float32"),
        ("torch", "float32"),
        ("cpp", "float32"),
    } <= set(found)
    for (name, compute), rows in found.items():
        assert {row.distribution for row in rows} >= set(DISTRIBUTIONS)
        assert max(row.max_e for row in rows) <= (1.0 + 1e-6 if compute == "float64" else 5.0), name
        assert all(row.passed for row in rows), name
