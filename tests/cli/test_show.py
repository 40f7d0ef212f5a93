import io
import math

import pytest
from rich.console import Console

from nalu_export.cli import show
from nalu_export.parity import Report, Row


def row(**changes: object) -> Row:
    values: dict[str, object] = {
        "runtime": "onnxruntime-cuda",
        "family": "mixed 1e±7",
        "samples": 1024,
        "max_e": 1.25,
        "limit": 5.0,
        "max_ulp": 12,
        "max_ulp_torch": 3,
        "nonfinite_mismatches": 0,
        "undetermined": 0,
        "passed": True,
    }
    return Row(**(values | changes))  # type: ignore[arg-type]


def shown(report: Report, width: int = 80, *, color: bool = False) -> str:
    stream = io.StringIO()
    show.show_report(Console(file=stream, width=width, force_terminal=color, no_color=not color), report)
    return stream.getvalue()


def report(*rows: Row, **changes: object) -> Report:
    values: dict[str, object] = {
        "rows": rows,
        "where": {row.runtime: "somewhere" for row in rows},
        "decisive": tuple({row.runtime for row in rows}),
        "seed": 0,
    }
    return Report(**(values | changes))  # type: ignore[arg-type]


def test_the_table_fits_into_80_columns() -> None:
    wide = row(
        max_e=123456.0, max_ulp=2**31, max_ulp_torch=2**31, nonfinite_mismatches=1024, samples=1024, passed=False
    )
    table = shown(report(row(), wide))
    rows = [line for line in table.splitlines() if "mixed" in line]
    assert len(rows) == 2
    assert max(map(len, rows)) <= 80
    assert not any("…" in line for line in rows)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "1.25"),
        ({"max_e": 999.994}, "999.99"),
        ({"max_e": 1234.5}, "1.2e+03"),
        ({"max_e": math.inf}, "∞"),
        ({"max_ulp": 999_999}, "999,999"),
        ({"max_ulp": 2**31}, "2.1e+09"),
        ({"passed": False}, "FAILED"),
        ({"passed": False, "problem": "batch of [/1]: no"}, "FAILED batch of [/1]: no"),
        ({}, "passed"),
    ],
)
def test_a_row(changes: dict[str, object], text: str) -> None:
    lines = shown(report(row(**changes)), width=120).splitlines()
    assert any(text in line for line in lines if "mixed" in line)


def test_the_runtime_that_does_not_decide_says_so() -> None:
    text = shown(report(row(runtime="torch"), row(), decisive=("onnxruntime-cuda",)))
    assert text.startswith("torch (somewhere; E ≤ 5.0 passes; the model itself, for comparison)\n")
    assert "\nonnxruntime-cuda (somewhere; E ≤ 5.0 passes)\n" in text


def test_where_is_not_markup() -> None:
    assert "(a [/bold] device" in shown(report(row(), where={"onnxruntime-cuda": "a [/bold] device"}))


@pytest.mark.parametrize(
    ("rtol", "atol", "line"),
    [
        (None, None, None),
        (1e-3, None, "Decided by nearness to PyTorch: rtol 0.001, atol 0."),
        (None, 0.5, "Decided by nearness to PyTorch: rtol 0, atol 0.5."),
    ],
)
def test_what_decided(rtol: float | None, atol: float | None, line: str | None) -> None:
    text = shown(report(row(), rtol=rtol, atol=atol))
    assert (line is None) == ("Decided" not in text)
    assert line is None or line in text


def test_outputs_that_are_left_out_are_counted() -> None:
    assert "overflow" not in shown(report(row()))
    assert "Up to 7 outputs" in shown(report(row(), row(undetermined=7)))


def test_a_console_without_a_terminal_is_wide_and_plain(capsys: pytest.CaptureFixture[str]) -> None:
    show.console().print("[red]" + "x" * 90 + "[/red] :smile:", soft_wrap=True)
    assert capsys.readouterr().out == "x" * 90 + " :smile:\n"
