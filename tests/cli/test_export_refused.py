"""``nalu-export export``: what it refuses is one line, and nothing is written."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import NAC, save
from tests.cli.conftest import Run, assert_user_error, listing


def write_text() -> None:
    Path("model.pt").write_text("not a model", encoding="utf-8")


def write_nan() -> None:
    model = NAC(2, 1)
    with torch.no_grad():
        model.state_dict()["layers.0.W_hat"].fill_(float("nan"))
    save(model, "model.pt")


def write_no_layer() -> None:
    save(nn.Linear(2, 1), "model.pt")


def write_custom() -> None:
    class Custom(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nac = NAC(2, 1)

    save(Custom(), "model.pt")


def write_mismatch() -> None:
    save(nn.Sequential(NAC(2, 3), nn.Linear(4, 1)), "model.pt")


def write_nothing() -> None:
    pass


def make_folder() -> None:
    Path("model.onnx").mkdir()


def make_link() -> None:
    os.link("model.pt", "model.onnx")


USER_ERRORS = [
    (write_nothing, ["missing.pt"], "missing.pt: cannot be read: No such file or directory"),
    (write_text, [], "model.pt: is not a file of torch.save; expected a model.pt"),
    (write_nan, [], "model.pt: layers.0.W_hat has 2 values that are NaN or infinite; train or repair it first"),
    (write_no_layer, [], "model.pt: Linear holds no arithmetic: "),
    (write_custom, [], "model.pt: does not describe its model; give --model FILE.py:NAME to build it"),
    (
        write_custom,
        ["--model", "no_such_module:factory"],
        "model.pt: --model no_such_module:factory: ModuleNotFoundError: ",
    ),
    (
        write_custom,
        ["--model", "nothing"],
        "model.pt: --model is 'nothing'; expected FILE.py:NAME or package.module:NAME",
    ),
    (
        write_mismatch,
        [],
        "model.pt: Sequential does not run on 2 features (mat1 and mat2 shapes cannot be multiplied (2x3 and 4x1)); "
        "say what it takes with --input input=batch,…",
    ),
    (
        write_nothing,
        ["--input-size", "8", "8"],
        "model.pt: --input-size is given, but the model takes 2 features, not images",
    ),
    (
        write_nothing,
        ["--input", "x=7"],
        "--input is 'x=7'; expected NAME=batch,SIZE,…[:TYPE] such as x=batch,16 or ids=",
    ),
    (write_nothing, ["--input", "x=batch,2:int64"], "NALU.forward(x) does not run on x int64 (3, 2): "),
    (
        write_nothing,
        ["--input", "x=batch,2", "--input-size", "8", "8"],
        "model.pt: --input-size and --input or --example are both given; give one, because an "
        "example has the size of its images",
    ),
    (
        write_nothing,
        ["--arithmetic", "head"],
        "model.pt: --arithmetic is 'head', but the model runs no module of that path or class; it runs 'layers.0'",
    ),
    (write_nothing, ["-o", "model.pt"], "model.pt: is the source itself; choose another output path"),
    (write_nothing, ["-o", "./model.pt"], "model.pt: is the source itself; choose another output path"),
    (write_nothing, ["-o", "no/m.onnx"], "no/m.onnx: its folder no does not exist; create it first"),
    (write_nothing, ["-o", "."], ".: exists and is not a regular file; choose another output path"),
    (
        write_nothing,
        ["-o", "/dev/null"],
        "/dev/null: is in /dev, a folder of the system; choose another output path, or - for standard output",
    ),
    (write_nothing, ["-o", "x" * 300], "x" * 300 + ": cannot be written: File name too long"),
    (make_folder, [], "model.onnx: exists and is not a regular file; choose another output path"),
    (make_link, [], "model.onnx: is the source itself; choose another output path"),
]


@pytest.mark.parametrize("as_json", [False, True], ids=["", "json"])
@pytest.mark.parametrize(
    ("prepare", "arguments", "text"), USER_ERRORS, ids=lambda value: getattr(value, "__name__", "")
)
def test_user_errors(prepare: Any, arguments: list[str], text: str, as_json: bool, source: Path, run: Run) -> None:
    prepare()
    before = {name: os.stat(name).st_mtime_ns for name in listing()}
    if not arguments or arguments[0].startswith("-"):
        arguments = ["model.pt", *arguments]
    result = run(*arguments, "-f", "onnx", *(["--json"] if as_json else []))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("nalu-export: ")
    assert text in result.stderr
    assert result.stderr.count("\n") == 1
    assert {name: os.stat(name).st_mtime_ns for name in listing()} == before


@pytest.mark.parametrize("path", ["..", "sub", ".", "/"])
def test_a_folder_for_a_model(path: str, source: Path, run: Run) -> None:
    Path("sub").mkdir()
    result = run(path, "-f", "onnx")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert listing() == ["model.pt", "sub"]


def test_an_empty_name(source: Path, run: Run) -> None:
    result = run("export", "", "-f", "onnx")
    assert result.exit_code == 2
    assert listing() == ["model.pt"]


def test_a_missing_source_beside_an_existing_output(source: Path, run: Run) -> None:
    Path("missing.onnx").write_bytes(b"old")
    assert_user_error(run("missing.pt", "-f", "onnx"), 2, "missing.pt: cannot be read: No such file or directory")
    assert Path("missing.onnx").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-f"], "Option '-f' requires an argument"),
        (["-f", "ONNX"], "Invalid value for '--format' / '-f': 'ONNX' is not one of 'cpp', 'onnx', 'torchscript'"),
        (["-f", "onnx", "--opset", "16"], "16 is not in the range 17<=x<=24"),
        (["-f", "onnx", "--opset", "25"], "25 is not in the range 17<=x<=24"),
        (["-f", "onnx", "--opset", "x"], "'x' is not a valid integer"),
        (["-f", "onnx", "--weights", "raw"], "'raw' is not one of 'folded', 'live'"),
        (["-f", "onnx", "--compute", "float16"], "'float16' is not one of 'float32', 'float64'"),
        (["-f", "onnx", "--seed", "-1"], "-1 is not in the range"),
        (["-f", "onnx", "--seed", "99999999999999999999"], "99999999999999999999 is not in the range"),
        (["-f", "onnx", "--input-size", "8"], "Option '--input-size' requires 2 arguments"),
        (["-f", "onnx", "--input-size", "0", "8"], "0 is not in the range x>=1"),
        (["-f", "onnx", "--nothing"], "No such option '--nothing'"),
        (["-f", "onnx", "second.pt"], "Got unexpected extra argument (second.pt)"),
    ],
)
def test_wrong_usage(arguments: list[str], text: str, source: Path, run: Run) -> None:
    result = run("model.pt", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert listing() == ["model.pt"]
