"""What ``nalu-export check`` writes: only what was asked for, and only where it may."""

import io
import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export import reports
from nalu_export.parity.check import REPLAYED
from nalu_export.parity.report import INTERMEDIATE
from tests.cli.conftest import Run, assert_user_error, listing

FEW = ("--samples", "8", "--search", "0")
ALL = ("--json", "r.json", "--junit", "r.xml", "--html", "r.html")


def contents() -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in listing()}


@pytest.mark.parametrize("passes", [True, False])
def test_json_on_stdout(passes: bool, source: Path, artifact: Path, other: Path, run: Run) -> None:
    result = run("check", source, artifact if passes else other, "--json", "-", *FEW)
    found = json.loads(result.stdout)
    assert result.exit_code == (0 if passes else 1)
    assert found["schema"] == "nalu_export.report/4"
    assert found["passed"] is passes
    assert {row["samples"] for row in found["rows"] if row["distribution"] == "zeros"} == {8}
    assert result.stderr == ("" if passes else f"nalu-export: {found['summary']}\n")
    assert listing() == ["model.onnx", "model.pt", "other.onnx"]


def test_stdout_has_the_bytes_of_the_file(source: Path, other: Path, run: Run) -> None:
    """Also where numbers are infinite: a program reads one schema."""
    run("check", source, other, "--json", "r.json", *FEW)
    assert run("check", source, other, "--json", "-", *FEW).stdout_bytes == Path("r.json").read_bytes()
    assert b'"inf"' in Path("r.json").read_bytes()


def test_stdout_and_files_together(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, "--json", "-", "--junit", "r.xml", *FEW)
    assert json.loads(result.stdout)["passed"] is True
    assert listing() == ["model.onnx", "model.pt", "r.worst.npz", "r.xml"]


@pytest.mark.parametrize("options", [[], ["-q"]], ids=["", "quiet"])
def test_every_kind(options: list[str], source: Path, artifact: Path, run: Run) -> None:
    Path("r.json").write_text("old", encoding="utf-8")
    result = run("check", source, artifact, *ALL, *FEW, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == ["model.onnx", "model.pt", "r.html", "r.json", "r.worst.npz", "r.xml"]
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["passed"] is True
    assert ET.parse("r.xml").getroot().get("failures") == "0"
    assert Path("r.html").read_bytes().startswith(b"<!doctype html>")
    with np.load("r.worst.npz") as found:
        (x,) = found.values()
    assert (x.shape, x.dtype) == ((1, 2), np.float32)
    written = [line for line in result.stdout.splitlines() if line.startswith("written: ")]
    assert written == ([] if options else [f"written: r{end}" for end in (".json", ".xml", ".html", ".worst.npz")])
    assert bool(result.stdout) == (options == [])


def test_a_failed_check_writes_them_too(source: Path, other: Path, run: Run) -> None:
    assert run("check", source, other, *ALL, *FEW).exit_code == 1
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["passed"] is False
    assert int(ET.parse("r.xml").getroot().get("failures", "0")) > 0
    assert "r.worst.npz" in listing()


def test_the_suffix_of_the_worst_inputs_is_the_reporters() -> None:
    assert reports.get("worst").suffix == ".worst.npz"


@pytest.mark.parametrize("arguments", [["--runtime", "torch-cuda"], ["--inputs", "none.npz"], ["--atol", "-1"]])
def test_a_check_that_cannot_run_writes_nothing(arguments: list[str], source: Path, artifact: Path, run: Run) -> None:
    if arguments[-1] == "torch-cuda" and os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has CUDA")
    result = run("check", source, artifact, *ALL, *arguments)
    assert result.exit_code == (3 if "torch-cuda" in arguments else 2)
    assert listing() == ["model.onnx", "model.pt"]


def test_a_report_that_cannot_be_made_leaves_none(
    source: Path, artifact: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are made before the first is written."""

    def bug(self: object, report: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr(type(reports.get("html")), "render", bug)
    assert run("check", source, artifact, *ALL, *FEW).exit_code == 70
    assert listing() == ["model.onnx", "model.pt"]


@pytest.mark.parametrize("kind", ["--json", "--junit", "--html"])
@pytest.mark.parametrize("alias", ["model.pt", "./model.pt", "link", "hard", "model.onnx", "x.npz"])
def test_a_report_overwrites_no_file_of_the_check(
    alias: str, kind: str, source: Path, artifact: Path, run: Run
) -> None:
    Path("link").symlink_to("model.pt")
    os.link("model.pt", "hard")
    np.savez("x.npz", x=np.ones((1, 2), np.float32))
    before = contents()
    result = run("check", source, artifact, "--inputs", "x.npz", kind, alias, *FEW)
    assert result.exit_code == 2
    assert result.stderr.endswith("; choose another path for the report\n")
    assert contents() == before


@pytest.mark.parametrize("option", ["--inputs", "--replay"])
def test_the_worst_inputs_overwrite_no_inputs(option: str, source: Path, artifact: Path, run: Run) -> None:
    assert run("check", source, artifact, "--json", "r.json", *FEW).exit_code == 0
    before = contents()
    text = (
        "r.worst.npz: the worst inputs, which are saved there, would replace r.worst.npz; choose another path for the "
        "report"
    )
    assert_user_error(run("check", source, artifact, option, "r.worst.npz", "--html", "r.html"), 2, text)
    assert contents() == before


@pytest.mark.parametrize(
    "paths",
    [
        ("--json", "a", "--junit", "a"),
        ("--json", "a", "--html", "./a"),
        ("--junit", "a", "--html", "sub/../a"),
        ("--junit", "a", "--html", "link/a"),
        ("--json", "a.json", "--html", "a.worst.npz"),
    ],
    ids=" ".join,
)
def test_two_reports_with_one_path(paths: tuple[str, ...], source: Path, artifact: Path, run: Run) -> None:
    Path("sub").mkdir()
    Path("link").symlink_to(".")
    text = "two reports, or a report and its .worst.npz, have the same path; choose one for each"
    assert_user_error(run("check", source, artifact, *paths), 2, text)
    assert listing() == ["link", "model.onnx", "model.pt", "sub"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("no/report.json", "no/report.json: its folder no does not exist; create it first"),
        (".", ".: exists and is not a regular file; choose another output path"),
        (
            "/dev/full",
            "/dev/full: is in /dev, a folder of the system; choose another output path, or - for standard output",
        ),
        ("model.pt/x", "model.pt/x: its folder model.pt does not exist; create it first"),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    path: str, text: str, source: Path, run: Run
) -> None:
    """The artifact is not even looked for."""
    assert_user_error(run("check", source, "missing.onnx", "--json", path), 2, text)
    assert_user_error(run("check", source, "missing.onnx", "--html", "a.html", "--junit", path), 2, text)
    assert listing() == ["model.pt"]


@pytest.mark.parametrize("kind", ["html", "junit"])
def test_standard_output_takes_no_report_but_json(kind: str, source: Path, artifact: Path, run: Run) -> None:
    before = contents()
    result = run("check", source, artifact, f"--{kind}", "-", *FEW)
    text = f"--{kind} is -, but only --json and --output write to standard output; give a path"
    assert_user_error(result, 2, text)
    assert contents() == before


def test_a_folder_in_place_of_the_worst_inputs(source: Path, artifact: Path, run: Run) -> None:
    Path("r.worst.npz").mkdir()
    text = "r.worst.npz: exists and is not a regular file; choose another output path"
    assert_user_error(run("check", source, artifact, "--json", "r.json"), 2, text)


@pytest.mark.parametrize("name", ["a b.json", "größe.json", "数", "$(touch pwned).json", "a\nb.json", "[red]r.json"])
def test_any_report_name(name: str, source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, f"--json={name}", *FEW)
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == sorted(["model.onnx", "model.pt", name, Path(name).stem + ".worst.npz"])
    assert f"written: {name}".replace("\n", r"\n") in result.stdout.splitlines()


def test_quiet(source: Path, artifact: Path, other: Path, run: Run) -> None:
    result = run("check", source, artifact, "-q", *FEW)
    assert (result.exit_code, result.output) == (0, "")
    result = run("check", source, other, "-q", *FEW)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("nalu-export: onnxruntime-cpu on distribution ")
    assert result.stderr.count("\n") == 1


def replayed(run: Run, *arguments: Any) -> Any:
    return json.loads(run("check", *arguments, "--json", "-").stdout)


@pytest.mark.parametrize("passes", [True, False])
def test_a_replay_gives_the_same_verdict_and_ratio(
    passes: bool, source: Path, artifact: Path, other: Path, run: Run
) -> None:
    """The worst input of each runtime alone is as bad as it was in the whole check.

    Not to the last bit: the kernels of ONNX Runtime and numpy round the end of a batch otherwise than its vectorised
    body, and here the sample is alone.
    """
    file = artifact if passes else other
    chosen = ("--runtime", "onnxruntime-cpu", "--runtime", "onnx-reference")
    first = run("check", source, file, *chosen, "--samples", 32, "--search", 4, "--json", "r.json")
    before = json.loads(Path("r.json").read_text(encoding="utf-8"))
    found = replayed(run, source, file, *chosen, "--replay", "r.worst.npz")
    assert found["passed"] is before["passed"] is passes
    assert first.exit_code == (0 if passes else 1)
    ratios = {worst["runtime"]: float(worst["ratio"]) for worst in before["worst"]}
    assert len(ratios) == 2
    for worst in before["worst"]:
        (row,) = [
            row
            for row in found["rows"]
            if (row["runtime"], row["distribution"])
            == (worst["runtime"], f"{worst['runtime']} {worst['distribution']}")
        ]
        if not passes:
            assert float(row["max_ratio"]) == pytest.approx(ratios[worst["runtime"]], rel=1e-4)
        assert row["status"] == ("passed" if passes else "failed")
        assert row["samples"] == REPLAYED
    distributions = {row["distribution"] for row in found["rows"]} - {INTERMEDIATE}
    assert distributions == {f"{worst['runtime']} {worst['distribution']}" for worst in before["worst"]}


def test_the_worst_inputs_have_the_same_bytes_each_time(source: Path, artifact: Path, run: Run) -> None:
    for name in ("a", "b"):
        assert run("check", source, artifact, "--json", f"{name}.json", *FEW).exit_code == 0
    assert Path("a.worst.npz").read_bytes() == Path("b.worst.npz").read_bytes()
    assert np.load(io.BytesIO(Path("a.worst.npz").read_bytes()), allow_pickle=False).files
