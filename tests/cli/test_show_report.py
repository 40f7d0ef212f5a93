import io
import math
import re
from typing import Any

import pytest
from rich.console import Console

from nalu_export.cli.show_report import show_report
from nalu_export.parity import Report, Row
from nalu_export.parity.report import RuntimeInfo
from nalu_export.runtimes import names


def row(runtime: str = "onnxruntime-cuda", family: str = "mixed 1e±7", **changes: Any) -> Row:
    values: dict[str, Any] = {
        "samples": 1024,
        "outputs": 2048,
        "max_ratio": 0.25,
        "max_e": 1.25,
        "max_ulp": 12,
        "max_ulp_torch": 3,
        "nonfinite_mismatches": 0,
        "wrong_zeros": 0,
        "undetermined": 0,
        "passed": True,
    }
    return Row(runtime, family, **(values | changes))


def shown(report: Report, width: int = 80, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    show_report(Console(file=stream, width=width, force_terminal=terminal, no_color=True), report)
    return re.sub(r"\x1b\[\d*m", "", stream.getvalue())


def report(*rows: Row, verdict: str = "bound", missing: dict[str, str] | None = None, **info: Any) -> Report:
    ran = dict.fromkeys(row.runtime for row in rows)
    values: dict[str, Any] = {"where": "somewhere", "details": {}, "decisive": True} | info
    return Report(rows, tuple(RuntimeInfo(name, **values) for name in ran), verdict, 0, missing or {})


WIDE: dict[str, Any] = {
    "max_ratio": 1.5e13, "max_e": 1.7e14, "max_ulp": 2**31, "max_ulp_torch": 2**31, "samples": 10**6, "passed": False,
}  # fmt: skip


@pytest.mark.parametrize("family", ["mixed, zeros", "a name of a user's own array that is much too long for a line"])
def test_everything_fits_into_80_columns(family: str) -> None:
    missing = dict.fromkeys(names(), "this onnxruntime has no CUDAExecutionProvider; pip install it")
    rows = [row(name, family, **WIDE) for name in names()]
    for number in (1, len(rows)):
        text = shown(report(*rows[:number], missing=missing), terminal=True)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert "much too long" in " ".join(text.split()) or family == "mixed, zeros"
        assert all(name in text for name in names())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, " 1.25 "),
        ({"max_e": 999.994}, " 999.99 "),
        ({"max_e": 1234.5}, " 1.2e+03 "),
        ({"max_e": math.inf}, " ∞ "),
        ({}, " 25% "),
        ({"max_ratio": 0.0}, " 0% "),
        ({"max_ratio": 0.0123}, " 1.2% "),
        ({"max_ratio": 0.0996}, " 10% "),
        ({"max_ratio": 1.004}, " 100% "),
        ({"max_ratio": 12.5}, " 12.50× "),
        ({"max_ratio": 1e7}, " 1.0e+07× "),
        ({"max_ratio": math.inf}, " ∞ "),
        ({"max_ulp": 999_999}, " 999,999 "),
        ({"max_ulp": 2**31}, " 2.1e+09 "),
        ({}, " passed"),
        ({"passed": False}, " FAILED"),
        ({"passed": False, "nonfinite_mismatches": 7}, "FAILED 7 NaN or ∞"),
        ({"passed": False, "wrong_zeros": 7}, "FAILED 7 wrong ±0"),
        ({"passed": False, "problem": "batch of [/1]: no"}, "FAILED batch of [/1]: no"),
    ],
)
def test_a_row(changes: dict[str, Any], text: str) -> None:
    lines = shown(report(row(**changes)), width=120).splitlines()
    assert any(text in line for line in lines if "mixed" in line)


def test_values_inside_have_neither_e_nor_steps() -> None:
    inside = row(family="values inside", max_e=0.0, max_ulp=0, max_ulp_torch=0)
    (line,) = [line for line in shown(report(row(), inside)).splitlines() if line.startswith("values inside")]
    assert line.split() == ["values", "inside", "1024", "25%", "passed"]


def test_pytorch_is_not_compared_with_itself() -> None:
    (line,) = [line for line in shown(report(row("torch"))).splitlines() if line.startswith("mixed")]
    assert line.split()[-3:] == ["1.25", "12", "passed"]


def test_the_runtime_that_does_not_decide_says_so() -> None:
    text = shown(report(row("torch"), decisive=False))
    assert text.startswith("torch (somewhere; the model itself, for comparison)\n")
    assert shown(report(row())).startswith("onnxruntime-cuda (somewhere)\n")


def test_remarks_stand_below_the_runtime() -> None:
    text = shown(report(row(), remarks=("flushes [subnormals]\n to zero",)))
    assert text.splitlines()[1] == r"  flushes [subnormals]\n to zero"


def test_where_is_not_markup() -> None:
    assert "(a [/bold] device)" in shown(report(row(), where="a [/bold] device"))


MANY = ("onnx-reference", "onnxruntime-cpu", "openvino", "tract")


def test_many_runtimes_have_a_line_each_for_their_worst_inputs() -> None:
    rows = [row(name, family, max_ratio=ratio) for name in MANY for family, ratio in (("zeros", 0.5), ("ones", 0.1))]
    rows += [row(name, "values inside", max_ratio=0.9) for name in MANY]
    text = shown(report(*rows))
    for name in MANY:
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ") and "(" not in line]
        assert line.split() == [name, "zeros", "50%", "1.25", "3", "passed"]


def test_what_failed_comes_before_what_is_near_its_bound() -> None:
    rows = [row(name, "zeros", max_ratio=0.9) for name in MANY]
    rows += [row(MANY[0], "ones", max_ratio=0.1, passed=False, problem="no")]
    rows += [row(MANY[1], "values inside", max_ratio=2.0, passed=False)]
    lines = shown(report(*rows)).splitlines()
    assert any(line.split() == [MANY[0], "ones", "10%", "1.25", "3", "FAILED", "no"] for line in lines)
    assert any(line.split() == [MANY[1], "values", "inside", "200%", "FAILED"] for line in lines)


def test_runtimes_missing_for_one_reason_share_a_line() -> None:
    missing = {"a": "no CUDA; pip install it", "b": "no [CUDA]; run it there", "c": "no CUDA; pip install that"}
    lines = shown(report(row(), missing=missing)).splitlines()
    assert "not run: a, c: no CUDA" in lines
    assert "not run: b: no [CUDA]" in lines
    assert lines.count("--runtime with the name of one says how to get it.") == 1
    assert "--runtime" not in shown(report(row()))


def test_what_decided() -> None:
    assert "Decided" not in shown(report(row()))
    line = "Decided by nearness to PyTorch's float32 output: rtol 0.001, atol 0."
    assert line in shown(report(row(), verdict="rtol 0.001, atol 0")).splitlines()


def test_outputs_that_are_left_out_are_counted() -> None:
    assert "overflow" not in shown(report(row()))
    assert "Up to 7 outputs of a family overflow" in shown(report(row(), row(undetermined=7)))
