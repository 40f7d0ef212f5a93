import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import RuntimeUnavailableError, runtimes, save
from tests.api.test_inspect import foreign_onnx
from tests.cli.conftest import Run, assert_user_error, listing

FEW = ("--samples", "8", "--search", "0")


def cuda_available() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def test_the_runtime_that_checked_the_export(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact)
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("onnxruntime-cpu (onnxruntime ")
    assert lines[-1].startswith("passed: largest error is ")
    assert listing() == ["model.onnx", "model.pt"]


def test_the_default_for_torchscript(source: Path, script: Path, run: Run) -> None:
    result = run("check", source, script, *FEW)
    assert result.exit_code == 0
    assert result.stdout.startswith("torchscript (torch ")


def test_several_runtimes(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, "--runtime", "torch", "--runtime", "onnxruntime-cpu", *FEW)
    assert result.exit_code == 0
    assert "\nonnxruntime-cpu (" in result.stdout
    assert result.stdout.startswith("torch (torch ")


def test_a_check_fails_with_other_weights(source: Path, other: Path, run: Run) -> None:
    result = run("check", source, other)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.splitlines()[-1].startswith("FAILED: onnxruntime-cpu on distribution ")


def test_a_check_fails_with_one_weight_changed(source: Path, artifact: Path, run: Run, model: nn.Module) -> None:
    with torch.no_grad():
        model.state_dict()["layers.1.G"][0, 0] += 1e-3
    save(model, source)
    assert run("check", source, artifact, "-q").exit_code == 1


def test_quiet(source: Path, artifact: Path, other: Path, run: Run) -> None:
    result = run("check", source, artifact, "-q", *FEW)
    assert (result.exit_code, result.output) == (0, "")
    result = run("check", source, other, "-q", *FEW)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("nalu-export: onnxruntime-cpu on distribution ")
    assert result.stderr.count("\n") == 1


def test_seed_and_samples(source: Path, artifact: Path, run: Run) -> None:
    def found(*options: object) -> Any:
        return json.loads(run("check", source, artifact, "--search", 0, "--json", "-", *options).stdout)

    assert found("--seed", 3, "--samples", 5) == found("--seed", 3, "--samples", 5)
    assert found("--seed", 3, "--samples", 5)["seed"] == 3
    assert found("--seed", 3, "--samples", 5)["rows"] != found("--seed", 4, "--samples", 5)["rows"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--rtol", "1e9"], 0),
        (["--rtol", "0.5", "--atol", "1e30"], 0),
        (["--rtol", "0"], 1),
        (["--atol", "1e-30"], 1),
    ],
)
def test_tolerances(options: list[str], code: int, source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, *FEW, *options)
    assert result.exit_code == code
    assert "\ncriterion: rtol " in result.stdout


def test_several_runtimes_pass_only_together(source: Path, other: Path, run: Run) -> None:
    result = run("check", source, other, "--runtime", "torch", "--runtime", "onnxruntime-cpu", *FEW)
    assert result.exit_code == 1


def test_all_runs_what_is_there_and_lists_the_rest(
    source: Path, artifact: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tract", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    result = run("check", source, artifact, "--runtime", "all", *FEW)
    assert (result.exit_code, result.stderr) == (0, "")
    heads = re.findall(r"^(\S+) \(", result.stdout, re.MULTILINE)
    assert {"onnx-reference", "onnxruntime-cpu", "torch"} <= set(heads)
    assert not {"tract", "openvino"} & set(heads)
    lines = result.stdout.splitlines()
    assert "not run: tract: tract is not installed" in lines
    assert "not run: openvino: openvino is not installed" in lines
    assert "A check with --runtime NAME says how to get that runtime." in lines
    assert "torchscript" not in result.stdout


def test_all_fails_when_one_fails(source: Path, other: Path, run: Run) -> None:
    assert run("check", source, other, "--runtime", "all", *FEW).exit_code == 1


def test_all_with_none_there_is_no_pass(
    source: Path, artifact: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: object, model: object, data: object, options: object) -> None:
        raise RuntimeUnavailableError("it is gone")

    for name in runtimes.names():
        monkeypatch.setattr(type(runtimes.get(name)), "load", missing)
    result = run("check", source, artifact, "--runtime", "all", *FEW)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("nalu-export: no runtime can run the file: it is gone")


@pytest.mark.skipif(cuda_available(), reason="this onnxruntime has CUDA, so asking for it is no error")
def test_a_runtime_that_is_not_there(source: Path, artifact: Path, run: Run) -> None:
    """Never a pass, and never a fallback to the CPU."""
    for options in ([], ["--runtime", "onnxruntime-cpu"], ["--json", "-"], ["-q"]):
        result = run("check", source, artifact, "--runtime", "onnxruntime-cuda", *options)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith("nalu-export: onnxruntime-cuda: ")
        assert "pip install 'onnxruntime-gpu[cuda,cudnn]>=1.28'" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_missing_onnxruntime(source: Path, artifact: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    text = "onnxruntime-cpu: onnxruntime is not installed; pip install 'nalu_export[cpu]'"
    assert_user_error(run("check", source, artifact), 3, text)
    assert_user_error(run(source, "-f", "onnx", "-o", "new.onnx"), 3, text)
    assert listing() == ["model.onnx", "model.pt"]


def test_a_foreign_onnx_file_is_checked(source: Path, run: Run) -> None:
    Path("foreign.onnx").write_bytes(foreign_onnx())
    result = run("check", source, "foreign.onnx", *FEW)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("FAILED: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.pt", "model.onnx"], "missing.pt: cannot be read: No such file or directory"),
        (["model.pt", "missing.onnx"], "missing.onnx: cannot be read: No such file or directory"),
        (["model.pt", "model.pt"], "model.pt: is not an exported file; expected cpp, onnx or torchscript"),
        (["model.onnx", "model.onnx"], "model.onnx: is an ONNX model, not a checkpoint; expected a model.pt"),
        (["model.pt", "."], ".: is a directory; give the path of a file"),
        (
            ["model.pt", "model.onnx", "--runtime", "torchscript"],
            "runtime torchscript runs torchscript, but model.onnx is onnx",
        ),
        (["model.pt", "model.onnx", "--rtol", "-1"], "--rtol is -1.0; it must be a number of at least 0"),
        (["model.pt", "model.onnx", "--atol", "nan"], "--atol is nan; it must be a number of at least 0"),
        (
            ["model.pt", "model.onnx", "--max-ulp", "1", "--rtol", "1e-6"],
            "--max-ulp is given with --rtol or --atol; give one or the other",
        ),
        (
            ["model.pt", "model.onnx", "--max-ulp", "1", "--atol", "0"],
            "--max-ulp is given with --rtol or --atol; give one or the other",
        ),
        (
            ["model.pt", "model.onnx", "--range", "2", "1"],
            "--range is 2 to 1; it must be two float32 numbers in order",
        ),
        (
            ["model.pt", "model.onnx", "--range", "0", "1e39"],
            "--range is 0 to 1e+39; it must be two float32 numbers in order",
        ),
        (
            ["model.pt", "model.onnx", "--range", "nan", "1"],
            "--range is nan to 1; it must be two float32 numbers in order",
        ),
        (
            ["model.pt", "model.onnx", "--inputs", "a.npz", "--replay", "a.npz"],
            "--inputs and --replay are both given; --replay runs only the inputs of its own file",
        ),
        (
            ["model.pt", "model.onnx", "--input-size", "8", "8"],
            "model.pt: --input-size is given, but the model takes 2 features, not images",
        ),
        (
            ["model.pt", "model.onnx", "--model", "x"],
            "model.pt: --model is 'x'; expected FILE.py:NAME or package.module:NAME",
        ),
    ],
)
def test_user_errors(arguments: list[str], text: str, source: Path, artifact: Path, run: Run) -> None:
    result = run("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    # a folder opens on some systems and not on others
    assert result.stderr in (
        f"nalu-export: {text}\n",
        f"nalu-export: {text.replace('a directory', 'not a regular file')}\n",
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Missing argument 'MODEL'"),
        (["model.pt"], "Missing argument 'ARTIFACT'"),
        (["model.pt", "model.onnx", "third"], "Got unexpected extra argument (third)"),
        (["model.pt", "model.onnx", "--runtime", "tensorrt"], "'tensorrt' is not one of "),
        (["model.pt", "model.onnx", "--samples", "0"], "0 is not in the range 1<=x<=1000000"),
        (["model.pt", "model.onnx", "--samples", "1000001"], "1000001 is not in the range 1<=x<=1000000"),
        (["model.pt", "model.onnx", "--rtol", "x"], "'x' is not a valid float"),
        (["model.pt", "model.onnx", "--max-ulp", "-1"], "-1 is not in the range x>=0"),
        (["model.pt", "model.onnx", "--max-ulp", "1.5"], "'1.5' is not a valid int"),
        (["model.pt", "model.onnx", "--search", "-1"], "-1 is not in the range 0<=x<=100000"),
        (["model.pt", "model.onnx", "--search", "100001"], "100001 is not in the range 0<=x<=100000"),
        (["model.pt", "model.onnx", "--range", "1"], "requires 2 arguments"),
        (["model.pt", "model.onnx", "--format", "onnx"], "No such option '--format'"),
    ],
)
def test_wrong_usage(arguments: list[str], text: str, source: Path, run: Run) -> None:
    result = run("check", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr


def test_both_files_stay_as_they_are(source: Path, artifact: Path, run: Run) -> None:
    for path in (source, artifact):
        os.utime(path, ns=(10**18, 10**18))
    before = {name: Path(name).read_bytes() for name in listing()}
    assert run("check", source, artifact, *FEW).exit_code == 0
    assert {name: Path(name).read_bytes() for name in listing()} == before
    assert {os.stat(name).st_mtime_ns for name in listing()} == {10**18}


@pytest.mark.parametrize(
    "names", [("a b.pt", "c d.onnx"), ("größe.pt", "数.onnx"), ("a\nb.pt", "c\nd.onnx"), ("-a", "-b")]
)
def test_any_file_name(names: tuple[str, str], source: Path, artifact: Path, run: Run) -> None:
    source.rename(names[0])
    artifact.rename(names[1])
    result = run("check", *FEW, "--", *names)
    assert (result.exit_code, result.stderr) == (0, "")
