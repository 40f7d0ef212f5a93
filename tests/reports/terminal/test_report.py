import io
import math
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from nalu_export.parity import Report, Row
from nalu_export.parity.report import EVERY_INPUT, INTERMEDIATE, RuntimeInfo
from nalu_export.reports.terminal.report import show_report, show_verdict
from nalu_export.runtimes import names


def row(runtime: str = "onnxruntime-cuda", distribution: str = "mixed 1e±7", **changes: Any) -> Row:
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
        "status": "passed",
    }
    return Row(runtime, distribution, **(values | changes))


def shown(report: Report, width: int = 80, *, terminal: bool = False) -> str:
    stream = io.StringIO()
    show_report(Console(file=stream, width=width, force_terminal=terminal, no_color=True), report)
    return re.sub(r"\x1b\[\d*m", "", stream.getvalue())


def report(*rows: Row, criterion: str = "bound", missing: dict[str, str] | None = None, **info: Any) -> Report:
    ran = dict.fromkeys(row.runtime for row in rows)
    values: dict[str, Any] = {"where": "somewhere", "details": {}, "decisive": True} | info
    return Report(rows, tuple(RuntimeInfo(name, **values) for name in ran), criterion, 0, missing or {})


def test_notes_stand_under_the_figures() -> None:
    noted = replace(report(row()), notes=("head was not checked in isolation: \x1b[31m",))
    assert "note: head was not checked in isolation: \\x1b[31m" in shown(noted)


WIDE: dict[str, Any] = {
    "max_ratio": 1.5e13, "max_e": 1.7e14, "max_ulp": 2**31, "max_ulp_torch": 2**31, "outputs": 10**6,
    "status": "failed",
}  # fmt: skip


@pytest.mark.parametrize(
    "distribution", ["mixed, zeros", "a name of a user's own array that is much too long for a line"]
)
def test_everything_fits_into_80_columns(distribution: str) -> None:
    missing = dict.fromkeys(names(), "this onnxruntime has no CUDAExecutionProvider; pip install it")
    rows = [row(name, distribution, **WIDE) for name in names()]
    for number in (1, len(rows)):
        text = shown(report(*rows[:number], missing=missing), terminal=True)
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        assert "much too long" in " ".join(text.split()) or distribution == "mixed, zeros"
        assert all(name in text for name in names())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, " 1.25 "),
        ({"max_e": 999.994}, " 999.99 "),
        ({"max_e": 1234.5}, " 1.2e3 "),
        ({"max_e": math.inf}, " ∞ "),
        ({}, " 0.25 "),
        ({"max_ratio": 0.0}, " 0.00 "),
        ({"max_ratio": 0.0123}, " 0.012 "),
        ({"max_ratio": 1.2e-5}, " 1e-5 "),
        ({"max_ratio": 1.004}, " 1.00 "),
        ({"max_ratio": 12.5}, " 12.50 "),
        ({"max_ratio": 1e7}, " 1.0e7 "),
        ({"max_ratio": math.inf}, " ∞ "),
        ({"max_ratio": math.nan}, " NaN "),
        ({"max_ulp": 999_999}, " 999,999 "),
        ({"max_ulp": 2**31}, " 2.1e9 "),
        ({}, " passed"),
        ({"status": "failed"}, " FAILED"),
        ({"status": "failed", "nonfinite_mismatches": 7}, " FAILED 7 NaN or ∞ "),
        ({"status": "failed", "wrong_zeros": 7}, " FAILED 7 wrong ±0 "),
        ({}, " 2048 "),
        ({"undetermined": 1}, " 2047/2048 "),
        ({"outputs": 3 * 10**6, "undetermined": 10**6}, " 2.0e6/3.0e6 "),
    ],
)
def test_a_row(changes: dict[str, Any], text: str) -> None:
    found = shown(report(row(**changes)), width=120)
    # A cell that takes two lines is joined.
    joined = f" {' '.join(found.split())} "
    assert any(text in line for line in (*found.splitlines(), joined) if "mixed" in line)


def test_intermediate_values_have_neither_e_nor_steps() -> None:
    inside = row(distribution=INTERMEDIATE, max_e=0.0, max_ulp=0, max_ulp_torch=0)
    (line,) = [line for line in shown(report(row(), inside), 120).splitlines() if line.startswith(INTERMEDIATE)]
    assert line.split() == ["intermediate", "values", "2048", "0.25", "passed"]


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
    rows = [
        row(name, distribution, max_ratio=ratio)
        for name in MANY
        for distribution, ratio in (("zeros", 0.5), ("ones", 0.1))
    ]
    rows += [row(name, INTERMEDIATE, max_ratio=0.9) for name in MANY]
    text = shown(report(*rows))
    for name in MANY:
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ") and "(" not in line]
        assert line.split() == [name, "zeros", "0.50", "1.25", "3", "passed"]


def test_what_failed_comes_before_what_is_near_its_bound() -> None:
    rows = [row(name, "zeros", max_ratio=0.9) for name in MANY]
    rows += [row(MANY[0], "ones", max_ratio=0.1, status="failed", problem="no")]
    rows += [row(MANY[1], INTERMEDIATE, max_ratio=2.0, status="failed")]
    lines = shown(report(*rows)).splitlines()
    assert any(line.split() == [MANY[0], "ones", "0.10", "1.25", "3", "FAILED"] for line in lines)
    assert any(line.split() == [MANY[1], "intermediate", "values", "2.00", "FAILED"] for line in lines)


def test_runtimes_missing_for_one_reason_share_a_line() -> None:
    missing = {"a": "no CUDA; pip install it", "b": "no [CUDA]; run it there", "c": "no CUDA; pip install that"}
    lines = shown(report(row(), missing=missing)).splitlines()
    assert "not run: a, c: no CUDA" in lines
    assert "not run: b: no [CUDA]" in lines
    assert lines.count("A check with --runtime NAME says how to get that runtime.") == 1
    assert "--runtime" not in shown(report(row()))


def test_what_decided() -> None:
    assert "criterion" not in shown(report(row()))
    line = "criterion: rtol 0.001, atol 0, in place of the error bound."
    assert line in shown(report(row(), criterion="rtol 0.001, atol 0")).splitlines()


EMPTY: dict[str, Any] = {"undetermined": 2048, "status": "nothing compared", "max_ratio": 0.0}


def test_a_row_that_compared_nothing_has_no_figures() -> None:
    (line,) = [line for line in shown(report(row(**EMPTY)), 120).splitlines() if line.startswith("mixed")]
    assert line.split() == ["mixed", "1e±7", "0/2048", "–", "–", "–", "–", "nothing", "compared"]
    rows = [row(name, "zeros", max_ratio=0.0) for name in MANY] + [row(name, "ones", **EMPTY) for name in MANY[1:]]
    text = shown(report(*rows, row("empty", "ones", **EMPTY), row("empty", INTERMEDIATE)), 120)
    assert [line.split()[-1] for line in text.splitlines() if line.startswith(MANY[1])][-1] == "passed"
    assert [line.split()[-1] for line in text.splitlines() if line.startswith("empty ")][-1] == "compared"


@pytest.mark.parametrize("names", [("onnxruntime-cpu",), MANY])
def test_why_outputs_are_left_out_is_said_once(names: tuple[str, ...]) -> None:
    distributions = ("a", "b", "c", "d")
    rows = [
        row(name, distribution, undetermined=7, reasons=("y may be 0", "z"))
        for name in names
        for distribution in distributions
    ]
    lines = shown(report(*rows, row(names[0], "e", undetermined=5)), 120).splitlines()
    prefix = "" if names != MANY else f"{names[0]}, "
    assert f"  {prefix}distributions a, b and 2 more: 28 of 8192 outputs left out: y may be 0" in lines
    assert f"  {prefix}distribution e: 5 of 2048 outputs left out" in lines
    assert sum("y may be 0" in line for line in lines) == len(names)
    assert "left out" not in shown(report(row()))


def test_a_problem_stands_below_the_table_once() -> None:
    bad: dict[str, Any] = {"status": "failed", "problem": "batch of [/1]: no", "outputs": 0}
    text = shown(report(row(distribution="a", **bad), row(distribution="b", **bad), row(distribution="c")))
    assert text.count("batch of [/1]: no") == 1
    assert "  distributions a, b: batch of [/1]: no" in text.splitlines()
    assert "  every input: batch of [/1]: no" in shown(report(row(distribution=EVERY_INPUT, **bad))).splitlines()


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ((row(),), "passed: largest error is 25% of its bound"),
        (
            (row(status="failed"),),
            "FAILED: onnxruntime-cuda on distribution mixed 1e±7: the error is 0.25 times its bound",
        ),
        ((row(**EMPTY),), "nothing compared: onnxruntime-cuda: all 2,048 outputs were left out"),
        ((), "nothing compared: nothing was compared"),
    ],
)
def test_the_verdict(rows: tuple[Row, ...], text: str) -> None:
    stream = io.StringIO()
    show_verdict(Console(file=stream, width=200), report(*rows))
    assert stream.getvalue().startswith(text)
