import html
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from nalu_export.sweeps.columns import parquet
from nalu_export.sweeps.overview import render
from nalu_export.sweeps.records import Outcome, Record
from nalu_export.sweeps.result import Sweep

GOOD = Record("a.pt", "a", "0", "1", "t", Outcome.PASSED, error_over_bound=0.25, max_e=1.5, layers=("NALUCell",))
EVIL = "<script>alert(1)</script>\x1b[31m\udcff\u202e\"'&"


def swept(tmp_path: Path, *records: Record) -> Sweep:
    return Sweep(tmp_path, records, 0, 1.5, tmp_path / "manifest.jsonl", None, tmp_path / "overview.html", ("a note",))


def test_failures_come_first_then_the_largest_error(tmp_path: Path) -> None:
    records = [
        GOOD,
        replace(GOOD, path="b.pt", name="b", error_over_bound=0.75),
        replace(GOOD, path="r.pt", name="r", status=Outcome.REFUSED, error_over_bound=None),
        replace(GOOD, path="f.pt", name="f", status=Outcome.FAILED, error_over_bound=3.0),
        replace(GOOD, path="n.pt", name="n", status=Outcome.FAILED, error_over_bound=float("nan")),
        replace(GOOD, path="c.pt", name="c", status=Outcome.CRASHED, error_over_bound=None),
    ]
    page = render(swept(tmp_path, *records)).decode()
    assert re.findall(r"<td>(\w\.pt)", page) == ["n.pt", "f.pt", "c.pt", "r.pt", "b.pt", "a.pt"]
    assert "6 checkpoints: 2 passed, 2 failed, 1 crashed, 1 refused." in page
    assert "NOT passed" in page
    assert "a note" in page
    assert "prefers-color-scheme: dark" in page


def test_names_are_text(tmp_path: Path) -> None:
    report = "reports/a#?<b>\udcff.json"
    (tmp_path / "reports").mkdir()
    (tmp_path / report).touch()
    record = replace(GOOD, path=EVIL, name=EVIL, error=EVIL, layers=(EVIL,), report=report, html="reports/none.html")
    page = render(swept(tmp_path, replace(record, status=Outcome.FAILED))).decode()
    assert "<script" not in page
    assert html.escape("<script>", quote=False) in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert 'href="reports/a%23%3F%3Cb%3E%FF.json"' in page
    assert "none.html" not in page, "there is no such file"
    assert re.findall(r"(?:src|href)=\"(\w+:)", page) == []


def test_ten_thousand_checkpoints(tmp_path: Path) -> None:
    records = [replace(GOOD, name=f"m{number}", path=f"m{number}.pt") for number in range(10_000)]
    start = time.process_time()
    page = render(swept(tmp_path, *records))
    assert time.process_time() - start < 30
    assert page.count(b"<tr ") == 10_000
    assert len(page) < 10_000_000


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install '.[parquet]'")
    records = [GOOD, replace(GOOD, path="\udcff", error_over_bound=None, layers=(), artifact="a.onnx", bytes=7)]
    data = parquet(records)
    assert data is not None
    (tmp_path / "manifest.parquet").write_bytes(data)
    table = pyarrow.read_table(tmp_path / "manifest.parquet").to_pydict()
    assert table["status"] == ["passed", "passed"]
    assert table["error_over_bound"] == [0.25, None]
    assert (table["layers"], table["bytes"], table["artifact"]) == ([["NALUCell"], []], [None, 7], [None, "a.onnx"])
    assert table["path"] == ["a.pt", r"\udcff"]


def test_parquet_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert parquet([GOOD]) is None
