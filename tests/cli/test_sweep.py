import json
import re
from pathlib import Path

import pytest
import torch
from click.testing import Result

from nalu_export import NALU, NALUCell, save
from nalu_export.cli.progress import pace
from nalu_export.sweeps import sweep as sweeping
from nalu_export.sweeps.executors.inline import Inline
from nalu_export.sweeps.result import Tally
from tests.cli.conftest import Run, assert_user_error


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two heads in ``zoo``; everything runs in this process."""
    monkeypatch.setattr(sweeping, "Processes", lambda *_: Inline())
    monkeypatch.chdir(tmp_path)
    Path("zoo").mkdir()
    for name in "ab":
        save(NALU(2, 1), f"zoo/{name}.pt")
    return Path("zoo")


def sweep(run: Run, *words: object) -> Result:
    return run("sweep", *words, "-o", "out", "--samples", "4")


def test_all_pass(zoo: Path, run: Run) -> None:
    result = sweep(run, "zoo/*.pt")
    assert (result.exit_code, result.stderr) == (0, "")
    first, *worst, last = result.stdout.splitlines()
    assert re.fullmatch(r"sweep: 2 checkpoints: 2 passed; [\d.]+ s, [\d.]+/s", first)
    for line in worst:
        assert re.fullmatch(r"zoo/[ab]\.pt  error/bound 0\.\d+, E [\d.]+ \(onnxruntime-cpu on .+\)", line)
    assert len(worst) == 2
    assert last == "written: out/overview.html, out/manifest.jsonl, out/manifest.parquet"
    again = sweep(run, "zoo/*.pt").stdout.splitlines()[0]
    assert re.fullmatch(r"sweep: 2 checkpoints: 2 passed, 2 of them done before; [\d.e-]+ s", again)


def test_one_is_refused(zoo: Path, run: Run) -> None:
    for number in range(20):
        (zoo / f"bad{number:02}.pt").write_bytes(b"nonsense")
    result = sweep(run, "zoo")
    assert (result.exit_code, result.stderr) == (2, "")
    lines = result.stdout.splitlines()
    assert len(lines) <= 12
    assert lines[0].startswith("sweep: 22 checkpoints: 2 passed, 20 refused; ")
    assert lines[1] == ("refused (and 19 more): zoo/bad00.pt: is not a file of torch.save; expected a model.pt")
    quiet = sweep(run, "zoo", "-q")
    assert (quiet.exit_code, quiet.stdout) == (2, "")
    assert quiet.stderr == (
        "nalu-export: 20 refused, 2 passed; first zoo/bad00.pt: is not a file of torch.save; expected a model.pt\n"
    )


@pytest.mark.usefixtures("wrong_checks")
def test_a_check_fails(zoo: Path, run: Run) -> None:
    (zoo / "bad.pt").write_bytes(b"nonsense")
    result = sweep(run, "zoo", "--check-only")
    assert result.exit_code == 1, "a failed check counts more than a refusal"
    assert result.stdout.splitlines()[1].startswith("failed (and 1 more): zoo/")
    assert not list(Path("out").glob("*.onnx"))
    assert len(list(Path("out/reports").glob("*.worst.npz"))) == 2


def test_what_was_assumed_is_said(zoo: Path, run: Run) -> None:
    cell = NALUCell(2, 1)
    torch.save({"W_hat": cell.W_hat.data, "M_hat": cell.M_hat.data, "G": cell.G.data}, zoo / "a.pt")
    text = "assumed in 1 of 2: zoo/a.pt: eps is 1e-07, "
    words = ("@list.txt",)
    rows = [{"path": "zoo/a.pt", "layout": "flat:NALU"}, {"path": "zoo/b.pt"}]
    Path("list.txt").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    result = sweep(run, *words)
    assert [line for line in result.stdout.splitlines() if line.startswith(text)], result.stdout
    assert sweep(run, *words, "-q").stderr.startswith(f"nalu-export: {text}")
    assert "<small>assumed: " in Path("out/overview.html").read_text(encoding="utf-8")


def test_json(zoo: Path, run: Run) -> None:
    found = json.loads(sweep(run, "zoo", "--json").stdout)
    assert (found["schema"], found["passed"], found["counts"]["passed"]) == ("nalu_export.sweep/1", True, 2)
    assert [record["name"] for record in found["records"]] == ["a", "b"]
    assert sweep(run, "zoo", "--json", "found.json").stdout.splitlines()[-1].endswith(", found.json")
    assert json.loads(Path("found.json").read_text(encoding="utf-8"))["reused"] == 2


def test_json_takes_no_checkpoint(zoo: Path, run: Run) -> None:
    before = (zoo / "a.pt").read_bytes()
    text = "zoo/a.pt: the report would replace {}; choose another path for the report"
    assert_user_error(sweep(run, "zoo", "--json=zoo/a.pt"), 2, text.format((zoo / "a.pt").absolute()))
    assert (zoo / "a.pt").read_bytes() == before
    assert_user_error(run("sweep", "zoo", "-o", "-"), 2, "a sweep writes a folder; give its path with --output PATH")


def test_options_reach_the_export(zoo: Path, run: Run) -> None:
    assert (
        sweep(run, "zoo/a.pt", "-f", "torchscript", "--weights", "live", "--html-reports", "--seed", "7").exit_code == 0
    )
    report = json.loads(Path("out/reports/a.json").read_text(encoding="utf-8"))
    assert (report["seed"], report["subject"]["weights"], report["subject"]["format"]) == (7, "live", "torchscript")
    assert Path("out/a.torchscript.pt").is_file()
    assert "FAILED" not in Path("out/reports/a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("no/**/*.pt",), 2, "no/**/*.pt: no file matches this pattern"),
        (
            ("zoo", "--jobs", "2", "--dask", "tcp://x"),
            2,
            "--jobs and --dask are both given; the cluster has its own workers",
        ),
        (("zoo", "--model", "none.py:a"), 2, None),
        (("@list.txt",), 2, "list.txt, line 1: 'trust' runs code; a list may have it only with --trust"),
    ],
)
def test_what_cannot_be_used(words: tuple[str, ...], code: int, text: str | None, zoo: Path, run: Run) -> None:
    Path("list.txt").write_text('{"path": "zoo/a.pt", "trust": true}', encoding="utf-8")
    result = sweep(run, *words)
    assert_user_error(result, code, text or result.stderr.removeprefix("nalu-export: ").rstrip())
    assert not Path("out").exists()


def test_no_sources(run: Run) -> None:
    result = run("sweep", "-o", "out")
    assert result.exit_code == 2
    assert "Missing argument 'SOURCES...'" in result.stderr


@pytest.mark.parametrize(
    ("tally", "new", "seconds", "text"),
    [
        (Tally(1, 10, 0, 0), 0, 0.0, "0 not passed"),
        (Tally(6, 10, 0, 1), 5, 2.0, "2.5/s, 1 not passed, 0:02 left"),
        (Tally(60, 1000, 50, 0), 10, 1.0, "10/s, 0 not passed, 50 done before, 1:34 left"),
        (Tally(10, 10, 10, 0), 0, 1.0, "0 not passed, 10 done before"),
    ],
)
def test_how_fast_it_is(tally: Tally, new: int, seconds: float, text: str) -> None:
    assert pace(tally, new, seconds) == text
