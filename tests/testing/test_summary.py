"""nalu_export.testing.summary: Markdown from a JSON report."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from nalu_export.parity.row import INTERMEDIATE
from nalu_export.testing.summary import main, markdown


def row(distribution: str = "zeros", runtime: str = "r", **other: Any) -> dict[str, Any]:
    numbers = {"max_ratio": 0.25, "max_e": 1.5, "samples": 4, "outputs": 8, "max_ulp": 1, "max_ulp_torch": 2}
    rest = {"nonfinite_mismatches": 0, "wrong_zeros": 0, "undetermined": 0, "status": "passed", "problem": ""}
    return {"runtime": runtime, "distribution": distribution, "a later field": []} | numbers | rest | other


def report(*rows: dict[str, Any], status: str = "passed", decisive: bool = True, **missing: str) -> dict[str, Any]:
    names = dict.fromkeys(row["runtime"] for row in rows)
    return {
        "status": status,
        "criterion": "bound",
        "summary": "so it is",
        "subject": {"model": "m.pt", "artifact": "a.onnx"},
        "runtimes": [{"name": name, "decisive": decisive} for name in names],
        "rows": list(rows),
        "missing": missing,
    }


def test_a_pass() -> None:
    assert markdown(
        report(row(), row("ones", max_ratio=0.5), row(INTERMEDIATE, max_ratio=0.9, max_e=0.0), tract="gone")
    ) == (
        "### Parity: passed\n\n`a.onnx` against `m.pt`: `so it is`\n\n"
        "| runtime | worst distribution | error/bound | E | verdict |\n|---|---|--:|--:|---|\n"
        "| `r` | `ones` | 0.5 | 1.5 | passed |\n| `tract` | | | | not run: `gone` |\n"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"max_ratio": "inf", "max_e": "nan"}, "| `r` | `bad` | ∞ | NaN | **FAILED** |"),
        ({"max_ratio": 0.1}, "| `r` | `bad` | 0.1 | 1.5 | **FAILED** |"),
        ({"wrong_zeros": 3}, "| `r` | `bad` | 0.25 | 1.5 | **FAILED** `3 of 8 outputs are zeros of the wrong sign` |"),
        ({"problem": "no | such\nshape"}, r"| `r` | `bad` | 0.25 | 1.5 | **FAILED** `no \x7c such\nshape` |"),
    ],
)
def test_a_failure_comes_before_what_is_near_its_bound(changes: dict[str, Any], line: str) -> None:
    found = markdown(report(row(max_ratio=0.9), row("bad", status="failed", **changes), status="failed")).splitlines()
    assert found[0] == "### Parity: FAILED"
    assert found[-1] == line


def test_what_compared_nothing_is_not_a_pass() -> None:
    nothing: dict[str, Any] = {"status": "nothing compared", "max_ratio": 0.0, "max_e": 0.0}
    found = markdown(report(row(**nothing), row(INTERMEDIATE), status="nothing compared")).splitlines()
    assert (found[0], found[-1]) == ("### Parity: nothing compared", "| `r` | `zeros` | – | – | nothing compared |")
    found = markdown(report(row(), row("empty", **nothing))).splitlines()
    assert (found[0], found[-1]) == ("### Parity: passed", "| `r` | `zeros` | 0.25 | 1.5 | passed |")


def test_what_does_not_decide_says_so() -> None:
    assert (
        markdown(report(row(), decisive=False)).splitlines()[-1]
        == "| `r` | `zeros` | 0.25 | 1.5 | passed, for comparison |"
    )


EVIL = [
    "<img src=x onerror=alert(1)> &amp; </code></pre>",
    "`a` ``b`` ```",
    "a | b \\| c \\\\| d \\",
    "[a](http://b) ![a](http://b) https://c www.d e@f.g @all #1 GH-1",
    "# a",
    "- a",
    "> a",
    "    a",
    "---",
    "$x$ ::error::x ##[error]x",
    "a\x1b[0m\n\r\u2028\u202e\u200b\x9b\x7f\n\n| a |",
    "y" * 500 + "`",
    "  ",
]


@pytest.mark.parametrize("evil", EVIL)
def test_names_are_text(evil: str) -> None:
    """Nothing but code spans between the words of this package, and as many cells as there are columns."""
    found = markdown(
        report(row(evil, status=evil, problem=evil), row(problem=evil, status="failed"), **cast("Any", {evil: evil}))
        | {"subject": {"model": evil, "artifact": evil}, "summary": evil, "status": evil}
    )
    assert "y" * 201 not in found.splitlines()[-1]
    assert found.replace("\n", "").isprintable()
    assert len(found.splitlines()) == 8
    assert [line.count("|") for line in found.splitlines()[4:]] == [6, 6, 6, 6]
    bare = re.sub(r"`[^`]*`", "CODE", found)
    code = "CODE" if evil.strip() else ""
    assert bare.splitlines() == [
        f"### Parity: {code}",
        "",
        f"{code} against {code}: {code}",
        "",
        "| runtime | worst distribution | error/bound | E | verdict |",
        "|---|---|--:|--:|---|",
        f"| CODE | CODE | 0.25 | 1.5 | **FAILED** {code}".rstrip() + " |",
        f"| {code} | | | | not run: {code} |",
    ]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    (tmp_path / "r.json").write_text(json.dumps(report(row("größe"))), encoding="utf-8")
    assert main([str(tmp_path / "r.json")]) == 0
    stream.flush()
    assert "größe" in stream.buffer.getvalue().decode()
