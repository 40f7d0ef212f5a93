"""nalu_export.testing.message, on reports built by hand."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export.parity.report import Divergence, Report, Row, RuntimeInfo, Worst
from nalu_export.testing.message import Files, message

NOWHERE = Files(None, None, None)


def report(criterion: str = "bound", out: float = 2.0, *, decisive: bool = True, **numbers: Any) -> Report:
    values: dict[str, Any] = {
        "max_ratio": 3.5, "max_e": 40.0, "max_ulp": 9, "max_ulp_torch": 7, "nonfinite_mismatches": 0, "wrong_zeros": 0,
        "undetermined": 0, "status": "failed",
    }  # fmt: skip
    row = Row("runtime", "zeros", 4, 8, **(values | numbers))
    one = np.ones(1, np.float32)
    worst = Worst(
        "runtime", "zeros", 3.5, {"input": one * 0.1}, "output", one * out, np.ones(1), np.ones(1) * 0.25, one
    )
    info = RuntimeInfo("runtime", "here", {}, decisive)
    subject = {"model": "m\x1b.pt", "artifact": "a.onnx", "format": "onnx", "weights": "live", "compute": "float32"}
    broken = (Divergence("runtime", reason="it gives outputs only"),)
    return Report((row,), (info,), criterion, 5, worst=(worst,), divergences=broken, subject=subject)


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ({}, "distribution zeros: the error is 3.5 times its bound, E 40"),
        ({"max_e": 0.0}, "distribution zeros: the error is 3.5 times its bound"),
        (
            {"nonfinite_mismatches": 2},
            "distribution zeros: 2 of 8 outputs are NaN or infinite where they should not be, or the reverse",
        ),
        ({"wrong_zeros": 3}, "distribution zeros: 3 of 8 outputs are zeros of the wrong sign"),
        ({"problem": "batch of 1: no"}, "distribution zeros: batch of 1: no"),
        (
            {"criterion": "rtol 0.1, atol 0"},
            "distribution zeros: 7 ULP from PyTorch, 9 from float64; allowed: rtol 0.1, atol 0",
        ),
    ],
)
def test_what_is_wrong(numbers: dict[str, Any], text: str) -> None:
    assert f"  {text}" in message(report(**numbers), NOWHERE).splitlines()


@pytest.mark.parametrize("out", [2.0, 1e-45, math.inf, math.nan])
def test_the_worst_output(out: float) -> None:
    lines = message(report(out=out), NOWHERE).splitlines()
    shown = {2.0: "2", 1e-45: "1e-45", math.inf: "∞"}.get(out, "NaN")
    assert "  worst input (zeros): [0.1]" in lines
    assert f"    output[0] is {shown}, expected 1 ± 0.25; PyTorch gives 1" in lines
    assert "  it gives outputs only" in lines


def test_no_escape_sequence() -> None:
    text = message(report(), NOWHERE)
    assert "  model m\\x1b.pt, file a.onnx\n  onnx, live weights, float32; seed 5; allowed: the bound" in text
    assert text.replace("\n", "").isprintable()


def test_nothing_was_compared() -> None:
    empty = report(status="nothing compared", undetermined=8, reasons=("y may be 0",))
    said = "nothing was compared for runtime: all 8 outputs were left out; y may be 0\n"
    assert message(empty, NOWHERE).startswith(said)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (NOWHERE, "replay: pass save_to=FOLDER (the fixture `parity` does) to keep the worst inputs, then run replay="),
        (
            Files(Path("my model.pt"), Path("a.onnx"), Path("w.npz")),
            "replay: nalu-export check 'my model.pt' a.onnx --runtime runtime --replay w.npz",
        ),
        (
            Files(None, Path("a.onnx"), Path("w.npz")),
            "replay: assert_parity(model, 'a.onnx', 'runtime', replay='w.npz')",
        ),
        (
            Files(Path("model.pt"), None, Path("w.npz")),
            "replay: assert_parity(model, artifact, 'runtime', replay='w.npz')",
        ),
    ],
)
def test_replay(files: Files, line: str) -> None:
    assert message(report(), files).splitlines()[-1].startswith(line)
