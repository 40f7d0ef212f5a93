"""What an interactive session shows of an artifact, a report and a diagnosis, whatever their names hold."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import nalu_export
from nalu_export import NALU
from nalu_export.doctor import counted
from nalu_export.io import notebook

HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e\n" + "x" * 10_000


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[Any] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def _tags(html: str) -> _Tags:
    found = _Tags()
    found.feed(html)
    found.close()
    assert set(found.tags) <= {"table", "caption", "tr", "th", "td"}
    assert not found.attributes
    assert len(html) < 20_000
    return found


def _is_a_line(text: str) -> bool:
    return text.isprintable() and len(text) < 800 and text.startswith("<") and text.endswith(">")


def test_what_they_say(nalu: NALU, tmp_path: Path) -> None:
    made = nalu_export.export(nalu, tmp_path / "a.onnx")
    size = f"{len(made.data):,}"
    assert repr(made) == f"<Artifact: {tmp_path}/a.onnx, onnx, {size} bytes, folded weights, float32, passed>"
    in_memory = replace(made, path=None, report=None, metadata={})
    assert repr(in_memory) == f"<Artifact: onnx in memory, {size} bytes>"
    text = _tags(made._repr_html_()).text
    assert "inputsinput (batch, 4)outputsoutput (batch, 2)check" in text
    report = made.report
    assert report is not None
    rows = len(report.rows)
    assert repr(report) == f"<Report: passed, torch, onnxruntime-cpu, {rows} rows, {report.summary()}>"
    assert re.search(r"onnxruntime-cpu\d+ rowsdistribution .+: error/bound 0\.\d", _tags(report._repr_html_()).text)
    found = nalu_export.diagnose(nalu)
    assert repr(found) == f"<Diagnosis: a module in memory, {counted(found.counts)}>"
    text = _tags(found._repr_html_()).text
    assert all(each.code in text for each in found.findings[: notebook.MAX_ROWS - 1])


def test_names_from_anybodys_file(nalu: NALU) -> None:
    made = nalu_export.export(nalu, check=False)
    report = nalu_export.check(nalu, made, samples=4, search=0)
    found = nalu_export.diagnose(nalu)
    port = {"name": HOSTILE, "dtype": HOSTILE, "shape": [HOSTILE, 3]}
    row = replace(report.rows[0], distribution=HOSTILE)
    info = replace(report.runtimes[0], name=row.runtime, where=HOSTILE)
    finding = replace(found.findings[0], where=HOSTILE, what=HOSTILE, remedy=HOSTILE)
    hostile: list[Any] = [
        replace(
            made,
            path=Path(HOSTILE.replace("/", "")),
            metadata={"weights": HOSTILE, "compute": HOSTILE, "inputs": [port] * 50, "outputs": [port]},
            notes=(HOSTILE,) * 50,
        ),
        replace(report, rows=(row,), runtimes=(info,) * 50, missing={HOSTILE: HOSTILE}, notes=(HOSTILE,)),
        replace(found, path=HOSTILE, findings=(finding,) * 50),
    ]
    for each in hostile:
        assert _is_a_line(repr(each)), each
        html = each._repr_html_()
        assert "&lt;script&gt;" in html
        text = _tags(html).text
        assert text.isprintable()
        assert "more" in text


@pytest.mark.parametrize("text", ["a" * 160, "\x1b" * 160, "a" * 161, "\U000e0101" * 1000])
def test_a_text_is_cut(text: str) -> None:
    assert len(notebook.line("X", [text])) <= 4 * notebook.MAX_TEXT + 10
    assert notebook.line("X", [text, ""]).endswith("…>") is (len(text) > 160)
