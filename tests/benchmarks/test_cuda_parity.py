"""benchmarks/cuda_parity.py: every kind of layer in every runtime, and what becomes of one that fails."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import cuda, cuda_parity, cuda_tf32
from benchmarks.cuda_parity import Found
from benchmarks.cuda_setup import OUT_OF_TIME, Setup
from benchmarks.report import markdown
from nalu_export import runtimes
from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.runtimes.base import RunOptions, Session
from tests.benchmarks.cuda_cases import QUICK, TINY, outcome_of, row_of


def test_every_kind_of_layer_is_there() -> None:
    subjects = {subject.name: subject for subject in cuda_parity.all_subjects(quick=False)}
    assert [subject.saturated for subject in subjects.values() if subject.saturated] == [2, 16, 64, 256]
    for wanted in ("NAC cell", "NALU cell", "untied, row", "tied, matrix", "ε = 1e-30", "[64, 64, 10]", "CNN"):
        assert any(wanted in name for name in subjects), wanted
    for subject in subjects.values():
        out = subject.model()(torch.ones(3, *subject.shape))
        assert out.shape[0] == 3
        torch.testing.assert_close(out, subject.model()(torch.ones(3, *subject.shape)), rtol=0, atol=0, equal_nan=True)


def test_a_failing_runtime_is_a_cell_of_the_table(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: nn.Module, data: bytes, options: RunOptions) -> Session:
        raise InputError("onnxruntime-cpu refuses the file: no")

    def crash(model: nn.Module, data: bytes, options: RunOptions) -> Session:
        raise ValueError("CUDA error 999")

    names = ["onnxruntime-cpu", "torch"]
    monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", refuse)
    found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert found["torch"].passed
    assert str(found["onnxruntime-cpu"]) == "FAIL (onnxruntime-cpu refuses the file: no)"
    monkeypatch.setattr(runtimes.get("onnxruntime-cpu"), "load", crash)
    found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert str(found["onnxruntime-cpu"]) == "FAIL (ValueError: CUDA error 999)"


def test_a_missing_runtime_is_a_failure() -> None:
    names = ["onnxruntime-cpu", "openvino"]
    missing = RuntimeUnavailableError("openvino: not installed")

    def absent(*_: Any) -> Session:
        raise missing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtimes.get("openvino"), "load", absent)
        found = cuda_parity.outcomes_of(TINY, "folded", "float32", names, QUICK, {})
    assert found["onnxruntime-cpu"].passed
    assert str(found["openvino"]) == "FAIL (not installed)"


def test_out_of_time(late: Setup) -> None:
    found = cuda_parity.measure(late, quick=True)
    assert {outcome.reason for outcome in found.outcomes.values()} == {OUT_OF_TIME}
    assert not any(target.reached for target in cuda.targets(cuda_parity.sections(found, late, quick=True)))
    assert set(cuda_tf32.measure(late, quick=True).values()) == {OUT_OF_TIME}


def test_parity_tables(setup: Setup) -> None:
    good = outcome_of(
        row_of("r", "1..10", 0.45, 2.0), row_of("r", "search", 0.3, 6.0), row_of("r", INTERMEDIATE, 0.99, 0)
    )
    bad = outcome_of(row_of("r", "1..10", 0.45, 2.0), row_of("r", INTERMEDIATE, 1.5, 0, passed=False))
    infinite = outcome_of(row_of("r", "zeros", np.inf, 2.0, passed=False))
    assert str(good) == "pass: 45% in 1..10, E 6.0"
    assert str(bad) == "FAIL: 1.5 × bound in intermediate values, E 2.0"
    assert str(infinite) == "FAIL: NaN, ∞ or no output in zeros"
    found = Found({}, {"torch": {"device": "Some GPU", "options": ""}})
    name = "saturated cell, 2 inputs"
    for runtime in setup.names:
        found.outcomes[name, "folded", "float32", runtime] = good
    for runtime in ("onnxruntime-cpu", "torchscript"):
        found.outcomes[name, "folded", "float64", runtime] = outcome_of(
            row_of(runtime, "ones", 0.9, 0.9), row_of(runtime, "zeros", 0.2, 0.5)
        )
    runs, files, cells = cuda_parity.sections(found, setup, quick=False)
    assert runs.rows[1][:4] == ("torch", "did not run", "did not run", "Some GPU")
    assert files.rows[1] == (name, "folded", "float64", "pass: 90% in ones, E 0.90", "", "pass: 90% in ones, E 0.90")
    # E is a claim about the uniform distributions; the others are in brackets.
    assert cells.rows[0] == ("onnxruntime-cpu", "float32", "2.0 (6.0)")
    assert all(target.reached for target in (*files.targets, *cells.targets))

    found.outcomes[name, "live", "float32", "torchscript"] = outcome_of(row_of("r", "-10..10", 0.5, 5.1))
    found.outcomes[name, "live", "float64", "torchscript"] = infinite
    *_, cells, failures = cuda_parity.sections(found, setup, quick=False)
    assert [target.reached for target in cells.targets] == [False, False]
    assert failures.rows == ((name, "live", "float64", "torchscript", "it is wrong"),)
    assert "NOT reached: E ≤ 5 in float32" in markdown([cells], "# Page")
