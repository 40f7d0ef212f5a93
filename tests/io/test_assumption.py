"""What is assumed of a file is said wherever its model goes, and is refused where nothing may be assumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from click.testing import CliRunner, Result
from torch import nn

import nalu_export
from nalu_export import NALU, InputError, check, convert, diagnose, export, inspect, reports, write_golden
from nalu_export.api.artifact import read_artifact
from nalu_export.api.golden import read_golden
from nalu_export.checkpoints import read_checkpoint
from nalu_export.cli.main import main
from nalu_export.formats import FormatName
from nalu_export.io.assumption import Assumption, is_assumptions

Run = Callable[..., Result]
FORMULA = (
    "formula is that of kevinzakka:NALU, recognised by the names and shapes of its tensors; the file does not store it"
)
ORIENTATION = "orientation is 3 → 2, as kevinzakka stores it; transposed, its matrices would fit as well"
EPS = "eps is 1e-10, as kevinzakka:NALU defines it; the file does not store it"
ASSUMED = [FORMULA, ORIENTATION, EPS]
FIELDS = ("what", "value", "why", "option")
STATED: dict[str, Any] = {"layout": "kevinzakka:NALU", "eps": 1e-7}
LINE = (
    "nalu-export: assumed: formula is that of kevinzakka:NALU (--layout kevinzakka:NALU), "
    "orientation is 3 → 2 (--layout kevinzakka:NALU), eps is 1e-10 (--eps 1e-10)\n"
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a public layout that stores neither its formula nor its ε."""
    monkeypatch.chdir(tmp_path)
    state = {f"model.0.{name}": torch.randn(2, 3) for name in ("G", "nac.W_hat", "nac.M_hat")}
    torch.save(state, tmp_path / "model.pt")
    return tmp_path / "model.pt"


@pytest.fixture
def run() -> Run:
    """The command line in this process."""

    def invoke(*arguments: str) -> Result:
        return CliRunner(catch_exceptions=False).invoke(main, arguments)

    return invoke


def _texts(assumptions: Any) -> list[str]:
    return [str(each) if isinstance(each, Assumption) else str(Assumption(**each)) for each in assumptions]


def test_everything_that_comes_of_it_says_so(file: Path, tmp_path: Path) -> None:
    assert _texts(read_checkpoint(file).assumptions) == ASSUMED
    assert _texts(inspect(file)["assumptions"]) == ASSUMED
    assert _texts(diagnose(file).assumptions) == ASSUMED
    kinds: tuple[FormatName, ...] = ("onnx", "torchscript", "cpp")
    for kind in kinds:
        path = tmp_path / f"model.{kind}"
        artifact = export(file, path, format=kind, check=False)
        assert _texts(artifact.assumptions) == ASSUMED
        assert _texts(read_artifact(path).metadata["assumptions"]) == ASSUMED
        assert _texts(inspect(path)["assumptions"]) == ASSUMED
    for name in ("golden.bin", "golden.npz"):
        write_golden(file, tmp_path / name, samples=1)
        assert list(read_golden(tmp_path / name).assumptions) == ASSUMED


def test_reports_say_so(file: Path, tmp_path: Path) -> None:
    report = check(file, export(file, tmp_path / "m.onnx", check=False), search=0, samples=4)
    assert _texts(report.assumptions) == ASSUMED
    assert _texts(json.loads(reports.get("json").render(report))["assumptions"]) == ASSUMED
    assert EPS in reports.get("junit").render(report).decode()
    page = reports.get("html").render(report).decode()
    assert f"Assumed: {EPS}." in page
    assert "Assumed, because the file of the model does not say it: formula, orientation, eps." in page


def test_what_is_stated_is_not_assumed(file: Path, tmp_path: Path) -> None:
    assert read_checkpoint(file, **STATED, strict=True).assumptions == ()
    assert _texts(read_checkpoint(file, layout="kevinzakka").assumptions) == [EPS]
    assert "assumptions" not in export(file, tmp_path / "m.onnx", check=False, **STATED).metadata
    own = tmp_path / "own.pt"
    nalu_export.save(NALU(3, 2), own)
    assert read_checkpoint(own, strict=True).assumptions == ()


@pytest.mark.parametrize(
    ("given", "names", "options"),
    [
        ({}, "formula, orientation and eps", "layout='kevinzakka:NALU', eps=1e-10"),
        ({"eps": 1e-7}, "formula and orientation", "layout='kevinzakka:NALU'"),
        ({"layout": "kevinzakka"}, "eps", "eps=1e-10"),
    ],
)
def test_strict_refuses(file: Path, given: dict[str, Any], names: str, options: str) -> None:
    with pytest.raises(InputError) as error:
        read_checkpoint(file, strict=True, **given)
    assert str(error.value) == (
        f"{file}: does not say its {names}, and strict=True allows no assumptions; state what it was trained with, "
        f"such as {options}, or give its code: model='FILE.py:NAME'"
    )


class _Own(nn.Module):
    """The user's cell, of a known layout's keys and another ε."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleList([nn.Module()])
        cell: Any = self.model[0]
        cell.G = nn.Parameter(torch.zeros(2, 3))
        cell.nac = nn.Module()
        cell.nac.W_hat, cell.nac.M_hat = (nn.Parameter(torch.zeros(2, 3)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cell: Any = self.model[0]
        weight = torch.tanh(cell.nac.W_hat) * torch.sigmoid(cell.nac.M_hat)
        gate = torch.sigmoid(x @ cell.G.T)
        return gate * (x @ weight.T) + (1 - gate) * torch.exp(torch.log(x.abs() + 1e-2) @ weight.T)


def test_the_user_s_class_settles_it(file: Path, tmp_path: Path) -> None:
    """An artifact that was made on an assumption does not pass against the module itself."""
    assumed = export(file, tmp_path / "assumed.onnx")
    assert assumed.report.passed
    settings: dict[str, Any] = {"example_inputs": torch.ones(2, 3), "search": 0}
    report = check(file, assumed, model=_Own, strict=True, **settings)
    assert not report.passed
    assert report.assumptions == ()
    settled = export(file, tmp_path / "settled.onnx", model=_Own, strict=True, example_inputs=torch.ones(2, 3))
    assert settled.report.passed
    assert settled.assumptions == ()


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_converted_file_still_says_so(file: Path, tmp_path: Path, suffix: str) -> None:
    own = tmp_path / f"own{suffix}"
    assert _texts(convert(file, own).assumptions) == ASSUMED
    assert _texts(read_checkpoint(own).assumptions) == ASSUMED
    with pytest.raises(
        InputError, match=r"from a file that does not say its formula, orientation and eps, .* eps=1e-10$"
    ):
        read_checkpoint(own, strict=True)
    convert(file, own, strict=True, **STATED)
    assert read_checkpoint(own, strict=True).assumptions == ()


@pytest.mark.parametrize("value", [3, {}, [3], [{}], [{"what": "eps"}], 17 * [dict.fromkeys(FIELDS, "")]])
def test_what_is_no_list_of_assumptions(value: Any, file: Path, tmp_path: Path) -> None:
    assert not is_assumptions(value)
    convert(file, tmp_path / "own.pt")
    torch.save(torch.load(tmp_path / "own.pt") | {"assumptions": value}, tmp_path / "own.pt")
    with pytest.raises(InputError, match="has assumptions that are not what nalu_export writes; was the file changed"):
        read_checkpoint(tmp_path / "own.pt")


@pytest.mark.parametrize(
    "arguments",
    [
        ["model.pt", "--format", "onnx", "-o", "new.onnx", "--no-check"],
        ["check", "model.pt", "model.onnx", "--samples", "2", "--search", "0"],
        ["golden", "model.pt", "-o", "golden.bin", "--samples", "1"],
        ["convert", "model.pt", "-o", "own.pt"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_the_terminal_says_so_even_where_it_is_quiet(arguments: list[str], file: Path, run: Run) -> None:
    export(file, file.parent / "model.onnx", check=False)
    exports = arguments[0] == "model.pt"
    loud = run(*arguments, *(["-v"] if exports else []))
    # An export says it in one line; with its tables it gives the reasons.
    assert not exports or LINE.removeprefix("nalu-export: ") in run(*arguments).stdout
    assert (loud.exit_code, loud.stderr) == (0, "")
    lines = loud.stdout.splitlines()
    assert f"assumed: {FORMULA}" in lines
    assert lines.count(f"assumed: {ORIENTATION}") == lines.count(f"assumed: {EPS}") == 1
    quiet = run(*arguments, "-q")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", LINE)
    stated = run(*arguments, "-q", "--strict", "--layout", "kevinzakka:NALU", "--eps", "1e-10")
    assert (stated.exit_code, stated.stdout, stated.stderr) == (0, "", "")


def test_in_a_file_it_is_one_text(file: Path, tmp_path: Path) -> None:
    export(file, tmp_path / "m.onnx", check=False)
    texts = {prop.key: prop.value for prop in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert [each["value"] for each in json.loads(texts["nalu_export.assumptions"])][1:] == ["3 → 2", "1e-10"]
