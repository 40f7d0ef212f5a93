"""nalu_export.parity.report: the verdict, its JSON, and one line that says what is wrong."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nalu_export
from nalu_export.parity.comparison import Comparison, Samples
from nalu_export.parity.report import (
    EVERY_INPUT,
    INTERMEDIATE,
    SCHEMA,
    Curve,
    Divergence,
    Report,
    Row,
    RuntimeInfo,
    Worst,
    merge,
    titled,
)
from nalu_export.parity.verdict import Status
from nalu_export.parity.wording import FIGURES

DOCS = Path(nalu_export.__file__).parent.parent / "docs" / "report.md"
PASSED, FAILED, NOTHING = Status.PASSED, Status.FAILED, Status.NOTHING


def _row(runtime: str = "r", distribution: str = "zeros", **more: Any) -> Row:
    found: dict[str, Any] = {
        "samples": 3, "outputs": 6, "max_ratio": 0.25, "max_e": 1.25, "max_ulp": 1, "max_ulp_torch": 2,
        "nonfinite_mismatches": 0, "wrong_zeros": 0, "undetermined": 0, "status": Status.PASSED,
    }  # fmt: skip
    return Row(runtime, distribution, **found | more)


def _empty(runtime: str = "r", distribution: str = "empty", **more: Any) -> Row:
    return _row(runtime, distribution, status=NOTHING, **{"undetermined": 6, "reasons": ("y may be 0",)} | more)


def _info(name: str = "r", *, decisive: bool = True) -> RuntimeInfo:
    return RuntimeInfo(name, "here", {"library": "l 1"}, decisive)


def _report(
    *rows: Row, runtimes: tuple[RuntimeInfo, ...] = (_info(),), criterion: str = "bound", **more: Any
) -> Report:
    return Report(rows, runtimes, criterion, 0, **more)


OTHER = _info("other", decisive=False)


@pytest.mark.parametrize(
    ("report", "status"),
    [
        (_report(_row()), PASSED),
        (_report(_row(), _row(status="failed")), FAILED),
        (_report(_row(), _row("other", status="failed"), runtimes=(_info(), OTHER)), PASSED),
        (_report(), NOTHING),
        (_report(runtimes=()), NOTHING),
        (_report(_row("other"), runtimes=(OTHER,)), NOTHING),
        (_report(_row("other"), runtimes=(_info(), OTHER)), NOTHING),
        # Of every runtime that decides an output has to have been compared.
        (_report(_row(), runtimes=(_info(), _info("second"))), NOTHING),
        (_report(_row(), _row("second"), runtimes=(_info(), _info("second"))), PASSED),
        (_report(_empty()), NOTHING),
        (_report(_empty(), _row(distribution="ones")), PASSED),
        (_report(_empty(), _row(distribution=INTERMEDIATE)), NOTHING),
        (_report(_empty(), _row(distribution=INTERMEDIATE, status="failed")), FAILED),
        (_report(_empty(), _row(status="failed")), FAILED),
    ],
)
def test_only_decisive_rows_decide_and_nothing_compared_is_no_pass(report: Report, status: Status) -> None:
    assert report.status is status
    assert report.passed is report.accepted is (status is PASSED)
    assert replace(report, allow_empty=True).passed is (status is PASSED)
    assert replace(report, allow_empty=True).accepted is (status is not FAILED)


def test_the_decisive_rows_are_those_of_decisive_runtimes() -> None:
    rows = (_row(), _row("other"), _row(distribution="ones"))
    assert _report(*rows, runtimes=(_info(), OTHER)).decisive == (rows[0], rows[2])


DIVERGENCE = Divergence("r", "layers.0.m", "exp(linear)", (0, 2), 1.5, 1.25, 1e-7)


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (_report(_row()), r"largest error is 25% of its bound, E 1.2 \(r, distribution zeros\)"),
        (
            _report(_row(), _row(distribution="ones", max_ratio=0.5)),
            r"largest error is 50% of its bound, E 1.2 \(r, distribution ones\)",
        ),
        (_report(_row(), _row(distribution=INTERMEDIATE, max_ratio=0.9, max_e=0.0)), "largest error is 25% of .*"),
        (_report(), "nothing was compared"),
        (_report(_empty()), "nothing was compared for r: all 6 outputs were left out; y may be 0"),
        (
            _report(_empty(), _empty(undetermined=7, reasons=("z overflows",)), _empty(reasons=())),
            "nothing was compared for r: all 19 outputs were left out; z overflows",
        ),
        (_report(_row(), runtimes=(_info(), _info("second"))), "nothing was compared for second"),
        (_report(_row(), _empty()), r"largest error is 25% of .*; 1 of 2 rows compared nothing \(y may be 0\)"),
        (_report(_row(), _empty(reasons=())), "largest error is 25% of .*; 1 of 2 rows compared nothing"),
        (_report(_row(undetermined=5)), r"largest error is 25% of its bound, E 1.2 \(r, distribution zeros\)"),
        (
            _report(_row(status="failed", max_ratio=8.0, max_e=9.5)),
            "r on distribution zeros: .* is 8 times its bound, E 9.5",
        ),
        (
            _report(_row(status="failed", max_ratio=math.inf)),
            "r on distribution zeros: .* is ∞ times its bound, E 1.25",
        ),
        (
            _report(_row(distribution=INTERMEDIATE, status="failed", max_e=0.0)),
            "r on intermediate values: the error is .*",
        ),
        (_report(_row(distribution=EVERY_INPUT, status="failed", problem="it broke")), "r on every input: it broke"),
        (
            _report(_row(status="failed", nonfinite_mismatches=7, wrong_zeros=2)),
            "r on distribution zeros: 7 of 6 outputs are NaN or infinite where they should not be, or the reverse",
        ),
        (
            _report(_row(status="failed", wrong_zeros=2)),
            "r on distribution zeros: 2 of 6 outputs are zeros of the wrong sign",
        ),
        (
            _report(_row(status="failed"), criterion="rtol 0.1, atol 0 from PyTorch"),
            "r on distribution zeros: 2 ULP from PyTorch, 1 from float64; allowed: rtol 0.1, atol 0 from PyTorch",
        ),
        (
            _report(_row(status="failed", problem="it broke", nonfinite_mismatches=7)),
            "r on distribution zeros: it broke",
        ),
        (
            _report(_row(status="failed", max_ratio=8.0), divergences=(Divergence("other", "a"), DIVERGENCE)),
            r"r on distribution zeros: the error is 8 times its bound, E 1.25; first divergence: layers.0.m\[0, 2\] = "
            r"exp\(linear\) is 1.5, expected 1.25 ± 1e-7",
        ),
        (
            _report(_row(status="failed", max_ratio=8.0), divergences=(Divergence("r", reason="cannot be read"),)),
            "r on distribution zeros: the error is 8 times its bound, E 1.25",
        ),
    ],
)  # fmt: skip
def test_the_summary_says_what_is_worst(report: Report, text: str) -> None:
    assert re.fullmatch(text, report.summary())
    assert "\n" not in report.summary()


def test_a_problem_is_worse_than_nan_which_is_worse_than_a_zero_and_an_error() -> None:
    rows = [
        _row(distribution="error", status="failed", max_ratio=1e9),
        _row(distribution="zero", status="failed", wrong_zeros=1, max_ratio=math.inf),
        _row(distribution="nan", status="failed", nonfinite_mismatches=1, max_ratio=math.inf),
        _row(distribution="problem", status="failed", problem="shape", max_ratio=math.inf),
    ]
    for count, distribution in ((1, "error"), (2, "zero"), (3, "nan"), (4, "problem")):
        assert _report(*rows[:count]).summary().startswith(f"r on distribution {distribution}: ")


def test_intermediate_values_come_after_outputs_and_nan_before_all_figures() -> None:
    failed: dict[str, Any] = {"status": "failed"}
    ascending = [
        _empty(distribution=INTERMEDIATE),
        _row(distribution=INTERMEDIATE, max_ratio=0.9),
        _empty(),
        _row(max_ratio=0.2),
        _row(max_ratio=0.3),
        _row(distribution=INTERMEDIATE, max_ratio=math.inf, **failed),
        _row(max_ratio=9.0, **failed),
        _row(max_ratio=math.nan, **failed),
        _row(wrong_zeros=1, max_ratio=math.inf, **failed),
        _row(nonfinite_mismatches=1, max_ratio=math.inf, **failed),
        _row(distribution=INTERMEDIATE, problem="it broke", **failed),
    ]
    rows = ascending[::-1]
    rows.sort(key=lambda row: row.gravity)
    assert rows == ascending


def test_the_documentation_has_the_words() -> None:
    text = DOCS.read_text(encoding="utf-8")
    meanings = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text.split("Each of `rows`:")[1].split("What is")[0], re.M))
    assert {field: re.split("[:;]", meanings[field])[0] for field in FIGURES} == FIGURES
    table = text.split("| what | in one line |")[1].split("Each of")[0]
    said = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in table.splitlines()[2:] if line]
    tolerance = "at most 2 ULP from PyTorch"
    bad = {"status": "failed", "outputs": 8, "max_ratio": 2.5, "max_e": 12.0, "max_ulp": 4, "max_ulp_torch": 5}
    # Each has what those below it have too, so that the order counts.
    faults: dict[str, Any] = {"wrong_zeros": {"wrong_zeros": 3}}
    faults["nonfinite_mismatches"] = faults["wrong_zeros"] | {"nonfinite_mismatches": 3}
    faults["problem"] = faults["nonfinite_mismatches"] | {"problem": "the text of `problem`"}
    assert len(said) == 5
    for name, line, beside, alone in said:
        criterion = tolerance if "tolerances" in name else "bound"
        fault = _row(**bad | faults.get(name.strip("`"), {})).fault(criterion)
        assert (fault.text, fault.beside, fault.alone) == (line, beside, alone)


def test_a_divergence_says_where_and_what() -> None:
    assert str(DIVERGENCE) == "first divergence: layers.0.m[0, 2] = exp(linear) is 1.5, expected 1.25 ± 1e-7"
    assert str(Divergence("r", "w", "weight", (), 1.0, 2.0, 0.0)) == "first divergence: w = weight is 1, expected 2 ± 0"
    assert str(Divergence("r", reason="no values")) == "no values"


def test_json_knows_no_infinity() -> None:
    worst = Worst(
        "r", "zeros", math.inf, {"input": np.array([1.0, -np.inf], np.float32), "ids": np.array([[3, -4]])}, "output",
        np.array([np.nan], np.float32), np.array([1.0]), np.array([np.inf]), np.array([2.0], np.float32),
    )  # fmt: skip
    report = _report(
        _row(status="failed", max_ratio=math.inf),
        missing={"tract": "not installed"},
        worst=(worst,),
        divergences=(Divergence("r", "layers.0.m", "exp(linear)", (1,), math.nan, 1.0, math.inf),),
        curves=(Curve("r", (0.0, 1.0), (0.0, math.inf), (1.0, 1.0), (0.5, 0.5)),),
        weights={"": {"W": np.ones((1, 1), np.float32)}},
        subject={"model": "m.pt"},
        environment={"torch": "2"},
    )
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert (found["schema"], found["passed"], found["summary"]) == (SCHEMA, False, report.summary())
    assert (found["status"], found["allow_empty"], found["rows"][0]["status"]) == ("failed", False, "failed")
    assert (found["criterion"], found["seed"], found["missing"]) == ("bound", 0, {"tract": "not installed"})
    assert found["rows"][0]["max_ratio"] == "inf"
    assert found["worst"][0] == {
        "runtime": "r", "distribution": "zeros", "ratio": "inf", "inputs": {"input": [1.0, "-inf"], "ids": [[3, -4]]},
        "output": "output", "out": ["nan"], "reference": [1.0], "bound": ["inf"], "torch": [2.0],
    }  # fmt: skip
    assert found["divergences"][0]["got"] == "nan"
    assert found["divergences"][0]["index"] == [1]
    assert found["curves"][0]["error"] == [0.0, "inf"]
    assert found["runtimes"] == [
        {"name": "r", "where": "here", "details": {"library": "l 1"}, "decisive": True, "remarks": []}
    ]
    assert (found["subject"], found["environment"]) == ({"model": "m.pt"}, {"torch": "2"})


def _part(samples: int, ratio: float, *, status: Status = PASSED, problem: str = "") -> Comparison:
    return Comparison(samples, samples * 2, ratio, ratio * 4, 5 - samples, samples, 1, 2, 3, status, Samples.none(samples), problem)  # fmt: skip  # noqa: E501


def test_a_row_is_the_worst_of_its_batches() -> None:
    row = merge("r", "zeros", [_part(2, 0.5), _part(3, 0.25, status=FAILED, problem="oops"), _part(1, 0.1)])
    assert row == Row("r", "zeros", 6, 12, 0.5, 2.0, 4, 3, 3, 6, 9, FAILED, "oops")
    assert merge("r", "ones", [_part(2, 0.5)]).passed


def test_the_status_of_a_row_is_that_of_its_parts() -> None:
    for parts, status in (((PASSED, NOTHING), PASSED), ((NOTHING, NOTHING), NOTHING), ((NOTHING, FAILED), FAILED)):
        row = merge("r", "ones", [_part(2, 0.5, status=part) for part in parts])
        assert row.status is status
        assert (row.passed, row.failed) == (status is PASSED, status is FAILED)


def test_a_row_made_of_rows_keeps_their_reasons() -> None:
    parts = [_empty(reasons=("a", "b")), _empty(reasons=("b", "c"))]
    assert merge("r", "head isolated", parts).reasons == ("a", "b", "c")
    assert merge("r", "ones", [_part(1, 0.5)], ["why"]).reasons == ("why",)


def test_what_is_no_input_distribution_is_not_called_one() -> None:
    assert [titled(name) for name in ("zeros", INTERMEDIATE, EVERY_INPUT)] == [
        "distribution zeros", "intermediate values", "every input",
    ]  # fmt: skip
