"""nalu_export.parity.report: the verdict and its JSON."""

import json
import math

import pytest

from nalu_export.parity.comparison import Comparison, Tolerance
from nalu_export.parity.report import Report, Row, merge


def _row(runtime: str = "r", *, passed: bool = True, max_e: float = 1.0, bad: int = 0, problem: str = "") -> Row:
    return Row(runtime, "zeros", 3, max_e, 5.0, 1, 2, bad, 0, passed, problem)


def _report(*rows: Row, decisive: tuple[str, ...] = ("r",), rtol: float | None = None) -> Report:
    return Report(rows, {"r": "here"}, decisive, 0, rtol)


@pytest.mark.parametrize(
    ("report", "passed"),
    [
        (_report(_row()), True),
        (_report(_row(), _row(passed=False)), False),
        (_report(_row(), _row("other", passed=False)), True),
        (_report(), False),
        (_report(_row("other")), False),
    ],
)
def test_only_decisive_rows_decide_and_none_is_no_pass(report: Report, passed: bool) -> None:
    assert report.passed is passed


def test_json_knows_no_infinity() -> None:
    found = json.loads(json.dumps(_report(_row(passed=False, max_e=math.inf)).to_dict(), allow_nan=False))
    assert found["passed"] is False
    assert found["rows"][0]["max_e"] is None
    assert found["runtimes"] == {"r": "here"}


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (_row(max_e=1.25), r"largest E 1.2 \(r, inputs zeros\), allowed 5"),
        (_row(passed=False, max_e=8.0), r"r on inputs zeros: E is 8, allowed 5"),
        (_row(passed=False, bad=7), r"r on inputs zeros: 7 outputs are NaN or infinite where they should not be"),
        (_row(passed=False, problem="it broke"), r"r on inputs zeros: it broke"),
    ],
)
def test_the_summary_says_what_is_worst(row: Row, text: str) -> None:
    import re

    assert re.match(text, _report(row).summary())


def test_the_summary_of_a_comparison_with_pytorch_counts_steps() -> None:
    assert "2 float32 steps from PyTorch" in _report(_row(passed=False), rtol=1e-6).summary()


def test_a_row_is_the_worst_of_its_batches() -> None:
    row = merge(
        "r", "zeros",
        [Comparison(2, 1.0, 5, 6, 1, 2, True, 0), Comparison(3, 2.0, 4, 7, 0, 1, False, 0, "oops")],
        Tolerance(5.0),
    )  # fmt: skip
    assert row == Row("r", "zeros", 5, 2.0, 5.0, 5, 7, 1, 3, False, "oops")
