"""nalu_export.reports.html: one page that is safe, complete and readable."""

import base64
import dataclasses
import html.parser
import math
import re
import struct
import zlib
from importlib import resources

import numpy as np
import pytest

from nalu_export import reports
from nalu_export.io.figures import figure
from nalu_export.parity.report import Report
from tests.reports.conftest import row, runtime, worst

VOID = {"meta", "img", "br", "link", "input", "hr"}


class _Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page; unbalanced tags are an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1] != "style":
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def _page(report: Report) -> str:
    return reports.get("html").render(report).decode("utf-8")


def test_it_is_well_formed_and_needs_nothing_from_outside(any_report: Report) -> None:
    page = _page(any_report)
    found = _Page(page)
    assert "script" not in found.tags
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("href", "action", "srcset")]
    assert all(value.startswith("data:image/png;base64,") for name, value in found.attributes if name == "src")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("content", policy) in found.attributes


def test_ids_are_unique_and_labels_find_theirs(any_report: Report) -> None:
    attributes = _Page(_page(any_report)).attributes
    ids = [value for name, value in attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value for name, value in attributes if name == "aria-labelledby"} <= set(ids)


def test_hostile_text_is_shown_as_text(hostile: Report) -> None:
    page = _page(hostile)
    text = page.replace("\n", "")
    assert "<script" not in text
    assert text.isprintable()
    assert r"alert('x')</script>\"&\x00\x1b[31m\n\u202e\ud800\ufffe".replace('\\"', '"') in _Page(page).text
    assert max(map(len, _Page(page).text.split())) < 1100


@pytest.mark.parametrize("name", ["passing", "failing", "empty"])
def test_the_verdict_stands_first(name: str, request: pytest.FixtureRequest) -> None:
    report: Report = request.getfixturevalue(name)
    page = _page(report)
    verdict = {"passing": "passed", "failing": "FAILED", "empty": "nothing compared"}[name]
    assert f"<title>{verdict}: parity report of nalu_export</title>" in page
    text = _Page(page).text
    assert re.search(rf"nalu_export parity report(: \S+ against runs/my model.pt)? {verdict} ", text)
    assert report.summary().replace("\x1b", r"\x1b").replace("\n", r"\n") in text


def test_every_number_of_the_rows_is_shown(passing: Report, failing: Report) -> None:
    for report in (passing, failing):
        lines = re.findall(
            r'<tr(?: class="wrong")?><th scope="row">([^<]*)</th>((?:<td[^>]*>[^<]*</td>){10})', _page(report)
        )
        shown = [(distribution, re.findall(r">([^<]*)</td>", cells)) for distribution, cells in lines]
        decisive = {found.name: found.decisive for found in report.runtimes}
        assert shown == [
            (
                found.distribution,
                [
                    figure(found.max_ratio),
                    figure(found.max_e),
                    *map(str, (found.max_ulp, found.max_ulp_torch, found.nonfinite_mismatches)),
                    *map(str, (found.wrong_zeros, found.undetermined, found.outputs, found.samples)),
                    "passed" if found.passed else "FAILED" if decisive[found.runtime] else "beyond",
                ],
            )
            for found in report.rows
        ]


def test_the_matrix_says_more_than_colour(failing: Report) -> None:
    matrix = _page(failing).split('<table class="matrix">')[1].split("</table>")[0]
    cells = re.findall(r'<td class="(\w+)"[^>]*>([^<]*)</td>', matrix)
    assert cells == [
        *[("bad", "109"), ("bad", "NaN/∞"), ("none", "–")],
        *[("none", "–"), ("bad", "NaN"), ("bad", "error")],
        *[("none", "–"), ("beyond", "28"), ("none", "–")],
    ]


def test_what_could_not_run_is_shown_with_its_reason(passing: Report, empty: Report) -> None:
    assert "onnxruntime-cuda not run no CUDA device" in _Page(_page(passing)).text
    assert "onnxruntime-cpu not run No module named 'onnxruntime'" in _Page(_page(empty)).text
    assert "A check that compared no output is not a pass: 0 runtimes ran, 1 did not run." in _Page(_page(empty)).text


def test_a_runtime_that_compared_nothing_is_named() -> None:
    empty = row(outputs=8, undetermined=8, status="nothing compared", reasons=("y may be 0",))
    report = Report((empty,), (runtime(),), "bound", 0)
    page = _page(report)
    text = _Page(page).text
    assert "nothing was compared for onnxruntime-cpu: all 8 outputs were left out; y may be 0" in text
    assert "Nothing could be compared" not in text
    headline = (
        "0 of 1 rows of the tables passed, 1 compared nothing; 1 decisive runtime; 0 numbers compared, 8 left out"
    )
    assert headline in text
    assert "zeros – – – – 0 0 8 8 1024 nothing compared left out: y may be 0" in text
    assert (
        'class="nothing" style="--share:0" title="nothing compared: 8 of 8 outputs left out: y may be 0">∅<'
        in _page(report)
    )
    failed = dataclasses.replace(
        report, rows=(empty, row("tract", status="failed")), runtimes=(runtime(), runtime("tract"))
    )
    assert "Nothing could be compared of onnxruntime-cpu." in _Page(_page(failed)).text
    partly = _page(dataclasses.replace(report, rows=(row(outputs=8, undetermined=3),)))
    assert "3 of 8 outputs left out" in partly
    assert "passed, 3" not in partly


def test_remarks_and_empty_details_are_shown(passing: Report) -> None:
    ran = dataclasses.replace(passing.runtimes[0], remarks=("denormals are kept",))
    text = _Page(_page(dataclasses.replace(passing, runtimes=(ran,)))).text
    assert "ONNX Runtime 1.31.1 denormals are kept provider CPUExecutionProvider options –" in text


def test_notes_are_shown(passing: Report) -> None:
    noted = dataclasses.replace(passing, notes=("head was <not> checked in isolation",))
    assert "head was &lt;not&gt; checked in isolation" in _page(noted)


def test_zeros_of_the_wrong_sign_are_told() -> None:
    report = Report((row(status="failed", wrong_zeros=2),), (runtime(),), "bound", 0)
    title = "2 of 2048 outputs are zeros of the wrong sign"
    assert re.search(rf'<td class="bad"[^>]* title="{title}">±0</td>', _page(report))


def test_where_it_breaks_is_shown(failing: Report) -> None:
    text = _Page(_page(failing)).text
    where = str(failing.divergences[0]).removeprefix("first divergence: ")
    assert f"onnxruntime-cpu {where}" in text
    assert "tract tract gives outputs only" in text


def test_failing_tables_are_open_and_others_closed(failing: Report) -> None:
    assert re.findall(r"<details( open)?>\s*<summary><b>([^<]*)", _page(failing)) == [
        (" open", "onnxruntime-cpu"),
        (" open", "tract"),
        ("", "torch"),
    ]


def test_the_subject_is_shown_whatever_it_holds(passing: Report) -> None:
    text = _Page(_page(passing)).text
    for line in ("weights folded", "sizes 8 × 8, 16 × 24", "none none", "options: tf32 no", "options: scale NaN"):
        assert line in text
    assert "layers path type eps layers.0 NALUCell 1e-10" in text
    assert "torch 2.13.0" in text


def test_the_command_to_replay_can_be_copied(passing: Report) -> None:
    check = "nalu-export check 'runs/my model.pt' model.onnx --runtime onnxruntime-cpu --runtime torch"
    assert f"{check} --seed 7 {check} --replay REPORT.worst.npz" in _Page(_page(passing)).text
    own = dataclasses.replace(passing, subject={"replay": ["first --a", "second"]})
    assert "the worst inputs alone. first --a second" in _Page(_page(own)).text
    none = dataclasses.replace(passing, subject={"replay": "only this"})
    assert "the worst inputs alone. only this" in _Page(_page(none)).text
    in_memory = {"model": "model.pt", "artifact": "onnx in memory", "format": "onnx"}
    for subject in ({}, {"model": "NALU", "artifact": "a.onnx", "model_sha256": ""}, in_memory):
        assert "again with seed 7" in _Page(_page(dataclasses.replace(passing, subject=subject))).text


def test_the_worst_sample_is_shown_exactly_and_shortened() -> None:
    report = Report((row(),), (runtime(),), "bound", 0, worst=(worst(np.arange(40) / 10),))
    text = _Page(_page(report)).text
    assert "sample of shape 40: 40 values, from 0 to 3.9, 1 exact zero" in text
    assert "x[3] 0.3 " in text
    assert "x[11] 1.1 and 28 more" in text
    assert "0 1.25 1.2500001 1e-6 1.25 0.1 " in text
    assert "1 1e-45 0 1e-6 1e-45 1.4e-39" in text


def test_only_the_worst_outputs_are_shown() -> None:
    out = np.arange(100, dtype=np.float32)
    reference = out.astype(np.float64)
    reference[[10, 20]] += 0.5
    many = dataclasses.replace(worst([1.0]), out=out, reference=reference, bound=np.full(100, 0.1), torch=out)
    broken = dataclasses.replace(many, out=np.where(out == 30, np.nan, out).astype(np.float32))
    text = _Page(_page(Report((row(),), (runtime(),), "bound", 0, worst=(many,)))).text
    assert "10 10 10.5 0.1 10 5 20 20 20.5 0.1 20 5" in text
    assert "30 NaN" not in _Page(_page(Report((row(),), (runtime(),), "bound", 0, worst=(broken,)))).text  # excused
    wrong = dataclasses.replace(broken, ratio=math.inf, bound=np.where(out == 10, np.nan, 0.1))
    text = _Page(_page(Report((row(),), (runtime(),), "bound", 0, worst=(wrong,)))).text
    assert "30 NaN 30 0.1 30 ∞" in text
    assert "10 10 10.5" not in text  # no bound: float32 determines no digit of it
    assert "92 more outputs" in text


def test_images_are_pictures(passing: Report) -> None:
    pictures = [value for name, value in _Page(_page(passing)).attributes if name == "src"]
    # Three channels and one heatmap: the small weight is a table of numbers.
    assert [_size(picture) for picture in pictures] == [(4, 4), (4, 4), (4, 4), (9, 64)]
    assert [int(value) for value in _pixels(pictures[0])[0]] == [0, 5, 11, 16]


def _png(uri: str) -> bytes:
    return base64.b64decode(uri.removeprefix("data:image/png;base64,"), validate=True)


def _size(uri: str) -> tuple[int, int]:
    width, height = struct.unpack(">II", _png(uri)[16:24])
    return width, height


def _pixels(uri: str) -> list[bytes]:
    data, (width, _) = _png(uri), _size(uri)
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    raw = zlib.decompress(data[start + 4 : start + 4 + length])
    return [raw[at + 1 : at + 1 + width] for at in range(0, len(raw), width + 1)]


# --- colours ------------------------------------------------------------------------------------------------------


def _themes() -> list[dict[str, str]]:
    css = (resources.files("nalu_export.reports") / "_page" / "style.css").read_text("utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    plain = dict(re.findall(r"--([\w-]+): (#\w{6}|[\d, ]+);", light))
    return [plain, plain | dict(re.findall(r"--([\w-]+): (#\w{6}|[\d, ]+);", dark.split("\n* {")[0]))]


def _rgb(text: str) -> list[float]:
    if text.startswith("#"):
        return [int(text[at : at + 2], 16) for at in (1, 3, 5)]
    return [float(part) for part in text.split(",")]


def _mixed(over: list[float], under: list[float], share: float) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(over, under, strict=True)]


def _contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""
    luminance = []
    for colour in (one, other):
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        luminance.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(luminance) + 0.05) / (min(luminance) + 0.05)


@pytest.mark.parametrize("theme", _themes(), ids=["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(theme: dict[str, str]) -> None:
    colour = {name: _rgb(value) for name, value in theme.items()}
    pairs = [(text, ground) for text in ("ink", "muted", "fail") for ground in ("page", "card")]
    pairs += [("pass", "pass-soft"), ("fail", "fail-soft"), ("on-fail", "fail")]
    pairs += [(text, ground) for text in ("ink", "muted") for ground in ("pass-soft", "fail-soft")]
    low = {pair: _contrast(colour[pair[0]], colour[pair[1]]) for pair in pairs}
    for share in (0.07, 0.45):
        low["ink", f"good {share}"] = _contrast(colour["ink"], _mixed(colour["good"], colour["page"], share))
    for sign in ("plus", "minus"):
        low["ink", sign] = _contrast(colour["ink"], _mixed(colour[sign], colour["card"], 0.55))
    assert not {pair: ratio for pair, ratio in low.items() if ratio < 4.5}
