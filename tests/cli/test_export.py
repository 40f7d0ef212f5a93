import json
import os
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, build_head, load, save
from nalu_export.api import export as exporting
from nalu_export.api.inspect import inspect
from nalu_export.checkpoints import read_checkpoint
from tests.cli.conftest import Run, assert_user_error, listing
from tests.formats.programs import CHECKED

FORMATS = {"cpp": "model.hpp", "onnx": "model.onnx", "torchscript": "model.torchscript.pt"}


def initializers(path: str) -> dict[str, int]:
    return {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}


@pytest.mark.quick(1)
@pytest.mark.parametrize("format_name", CHECKED)
def test_it_says_what_it_checked_and_wrote(format_name: str, source: Path, run: Run) -> None:
    result = run(source, "-f", format_name)
    assert (result.exit_code, result.stderr) == (0, "")
    name = FORMATS[format_name]
    assert listing() == sorted([name, "model.pt"])
    size = Path(name).stat().st_size
    assert result.stdout.splitlines()[-2] == (
        f"written: {name}: {format_name}, {size:,} bytes, folded weights, float32; input (batch, 2) → output (batch, 1)"
    )
    assert "passed" in result.stdout
    assert "FAILED" not in result.stdout
    assert inspect(name)["parity"]["verdict"] == "passed"


def test_every_format_has_a_default_name(source: Path, run: Run) -> None:
    from nalu_export import formats

    assert set(FORMATS) == set(formats.names())


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b.pt", "a b.onnx"),
        ("größe 数.pt", "größe 数.onnx"),
        ("a\nb.pt", "a\nb.onnx"),
        ("a:smile:.pt", "a:smile:.onnx"),
        ("[bold]x[x].pt", "[bold]x[x].onnx"),
        ("no suffix", "no suffix.onnx"),
        ("two.dots.pt", "two.dots.onnx"),
        (".hidden", ".hidden.onnx"),
        ("./-x.pt", "-x.onnx"),
    ],
)
def test_default_name_beside_any_name(name: str, written: str, source: Path, run: Run) -> None:
    source.rename(name)
    result = run(name, "-f", "onnx", "--no-check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == sorted([os.path.basename(name), written])
    assert f"written: {written}: onnx, ".replace("\n", r"\n") in result.stdout


@pytest.mark.parametrize("verb", [[], ["export"]], ids=["", "export"])
def test_a_leading_dash_after_two_dashes(verb: list[str], source: Path, run: Run) -> None:
    source.rename("-x.pt")
    assert run(*verb, "-f", "onnx", "--no-check", "--", "-x.pt").exit_code == 0
    assert listing() == ["-x.onnx", "-x.pt"]


def test_beside_a_model_in_another_folder(source: Path, run: Run) -> None:
    Path("sub").mkdir()
    source.rename("sub/model.pt")
    assert run("sub/model.pt", "-f", "onnx", "--no-check").exit_code == 0
    assert sorted(os.listdir("sub")) == ["model.onnx", "model.pt"]
    assert listing() == ["sub"]


def test_output(source: Path, run: Run) -> None:
    Path("out").mkdir()
    assert run(source, "-f", "onnx", "-o", "out/any name", "--no-check").exit_code == 0
    assert os.listdir("out") == ["any name"]
    assert listing() == ["model.pt", "out"]


def test_twice_gives_the_same_bytes_and_replaces(source: Path, run: Run) -> None:
    Path("model.onnx").write_bytes(b"something else")
    run(source, "-f", "onnx")
    first = Path("model.onnx").read_bytes()
    assert run(source, "-f", "onnx").exit_code == 0
    assert Path("model.onnx").read_bytes() == first != b"something else"


@pytest.mark.parametrize("weights", ["folded", "live"])
@pytest.mark.parametrize("compute", ["float32", "float64"])
def test_weights_and_compute(weights: str, compute: str, source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--weights", weights, "--compute", compute, "--no-check").exit_code == 0
    found = inspect("model.onnx")
    assert (found["weights_mode"], found["compute"]) == (weights, compute)
    held = initializers("model.onnx")
    assert ("layers.0.W_hat" in held) == (weights == "live")
    assert ("layers.0.W" in held) == (weights == "folded")
    if weights == "folded":
        assert held["layers.0.W"] == (onnx.TensorProto.FLOAT if compute == "float32" else onnx.TensorProto.DOUBLE)


@pytest.mark.parametrize("opset", [17, 20, 24])
def test_opset(opset: int, source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--opset", opset, "--no-check").exit_code == 0
    assert [entry.version for entry in onnx.load("model.onnx").opset_import] == [opset]


def test_seed(source: Path, run: Run) -> None:
    assert run(source, "-f", "onnx", "--seed", 7, "-q").exit_code == 0
    assert inspect("model.onnx")["parity"] == {"verdict": "passed", "runtime": "onnxruntime-cpu", "seed": 7}


def test_input_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    backbone = nn.Conv2d(1, 2, 3)
    save(build_head(backbone, 2, [3], "regression", 1, pool=None, feature_size=(2, 4)), "model.pt")
    result = run("model.pt", "-f", "torchscript", "--no-check")
    assert_user_error(
        result,
        2,
        "model.pt: the model flattens a feature map of 2×4; say which image size gives it with --input-size H W",
    )
    result = run("model.pt", "-f", "torchscript", "--input-size", 4, 6, "--no-check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "note: the image size is fixed at 4×6: the model does not run at another size" in result.stdout
    assert "input (batch, 1, 4, 6) → output (batch, 1)" in result.stdout


def test_no_check(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "verify_file", None)  # would raise
    result = run(source, "-f", "onnx", "--no-check")
    assert result.stdout.splitlines()[:2] == ["read: model.pt: 2 NALUCell", "not checked"]
    assert inspect("model.onnx")["parity"] == {"verdict": "unchecked"}


@pytest.mark.parametrize("options", [[], ["--no-check"]])
def test_quiet(options: list[str], source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "-q", *options)
    assert (result.exit_code, result.output) == (0, "")
    assert listing() == ["model.onnx", "model.pt"]


@pytest.mark.parametrize("check", [True, False])
def test_json(check: bool, source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "--json", *([] if check else ["--no-check"]))
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert list(found) == ["path", "format", "bytes", "notes", "metadata", "parity"]
    assert (found["path"], found["format"], found["notes"]) == ("model.onnx", "onnx", [])
    assert found["bytes"] == Path("model.onnx").stat().st_size
    assert found["metadata"]["source_sha256"] == read_checkpoint(source).sha256
    if check:
        assert found["parity"]["passed"] is True
        decides = {runtime["name"]: runtime["decisive"] for runtime in found["parity"]["runtimes"]}
        assert decides == {"torch": False, "onnxruntime-cpu": True}
    else:
        assert found["parity"] is None


def test_a_note_is_shown(source: Path, run: Run, model: nn.Module) -> None:
    torch.save(model.state_dict(), source)
    assert "note: layout nalu-export:NALU" in run(source, "-f", "onnx", "--no-check").stdout.splitlines()
    assert json.loads(run(source, "-f", "onnx", "--no-check", "--json").stdout)["notes"] == ["layout nalu-export:NALU"]


@pytest.mark.usefixtures("wrong_checks")
@pytest.mark.parametrize("old", [None, b"the old file"])
def test_a_failed_check_writes_nothing(old: bytes | None, source: Path, run: Run) -> None:
    if old is not None:
        Path("model.onnx").write_bytes(old)
    result = run(source, "-f", "onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "nalu-export: model.onnx: not written, the check failed: onnxruntime-cpu on distribution "
    )
    assert result.stderr.count("\n") == 1
    assert "FAILED" in result.stdout
    assert listing() == (["model.pt"] if old is None else ["model.onnx", "model.pt"])
    assert old is None or Path("model.onnx").read_bytes() == old


@pytest.mark.usefixtures("wrong_checks")
def test_a_failed_check_as_json(source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "--json")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    found = json.loads(result.stdout)
    assert list(found) == ["parity"]
    assert found["parity"]["passed"] is False
    assert listing() == ["model.pt"]


@pytest.mark.usefixtures("wrong_checks")
def test_a_failed_check_quietly(source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "-q")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


def test_an_interrupted_check_writes_nothing(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "verify_file", interrupt)
    result = run(source, "-f", "onnx")
    assert (result.exit_code, result.stderr.strip()) == (130, "nalu-export: interrupted")
    assert listing() == ["model.pt"]


def test_the_source_is_never_modified(source: Path, run: Run) -> None:
    os.utime(source, ns=(10**18, 10**18))
    source.chmod(0o444)
    before = source.read_bytes()
    for options in (["-f", "onnx"], ["-f", "torchscript", "--no-check"], ["-f", "onnx", "-o", "model.pt"]):
        run(source, *options)
        assert source.read_bytes() == before
        assert source.stat().st_mtime_ns == 10**18


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


def test_a_factory(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("user_factory.py").write_text(
        "from nalu_export import NALU\nfrom torch import nn\n"
        "class Own(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = NALU(2, 1)\n"
        "    def forward(self, x):\n        return self.head(x)\n"
        "def factory():\n    return Own()\n",
        encoding="utf-8",
    )
    torch.save({f"head.{name}": value for name, value in NALU(2, 1).state_dict().items()}, source)
    result = run(source, "-f", "torchscript", "--model", "user_factory:factory")
    assert (result.exit_code, result.stderr) == (0, "")
    assert type(load(source, model="user_factory:factory")).__name__ == "Own"
