import json
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from torch import nn

from nalu_export import NACCell, NALUCell, save
from nalu_export.api.inspect import inspect
from nalu_export.graph.folding import Weights
from tests.cli.conftest import Run, assert_user_error, listing
from tests.exported import exported
from tests.handwritten.nets import NETS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(text: str) -> dict[str, list[str]]:
    """The lines of the table by their first word."""
    return {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}


def test_a_model(source: Path, run: Run) -> None:
    result = run("inspect", source)
    assert (result.exit_code, result.stderr) == (0, "")
    found = rows(result.stdout)
    assert found["layers.0"][1:6] == ["NALUCell", "2", "→", "3", "1e-10"]
    assert found["layers.1"][1:6] == ["NALUCell", "3", "→", "1", "1e-10"]
    assert found["kind:"] == ["kind:", "model"]
    assert found["parameters:"] == ["parameters:", "27"]
    assert len(found["sha256:"][1]) == 64


def test_the_numbers_are_those_of_the_weights(tmp_path: Path, run: Run) -> None:
    cell = NALUCell(4, 1)
    with torch.no_grad():
        cell.W_hat.copy_(torch.tensor([[30.0, -30.0, 0.0, 30.0]]))
        cell.M_hat.copy_(torch.tensor([[50.0, 50.0, 50.0, 0.0]]))
        cell.G.fill_(1000.0)
    save(cell, tmp_path / "model.pt")
    line = run("inspect", tmp_path / "model.pt").stdout.splitlines()[2]
    assert " ".join(line.split()) == "(model) NALUCell 4 → 1 1e-10 W 25% 25% 25% 0.5 100% 0%"


@pytest.mark.parametrize("mode", ["folded", "live"])
def test_an_onnx_file(mode: Weights, source: Path, run: Run) -> None:
    exported(source, weights=mode, check=False)
    result = run("inspect", "model.onnx")
    assert (result.exit_code, result.stderr) == (0, "")
    found = rows(result.stdout)
    assert found["layers.0"][1] == "NALUCell"
    assert found["weights_mode:"] == ["weights_mode:", mode]
    assert "input: input float32 (batch, 2)" in result.stdout.splitlines()
    assert "output: output float32 (batch, 1)" in result.stdout.splitlines()
    assert "parity: verdict unchecked" in result.stdout.splitlines()


def test_a_torchscript_file_needs_trust(source: Path, run: Run) -> None:
    path = exported(source, "torchscript", check=False)
    result = run("inspect", path)
    assert result.exit_code == 0
    line = "The weights were not read, because loading a TorchScript archive runs code from it; --trust reads them."
    assert line in result.stdout.splitlines()
    assert "%" not in result.stdout
    assert "%" in run("inspect", path, "--trust").stdout


@pytest.mark.parametrize("kind", ["model", "onnx", "torchscript"])
def test_json_is_what_the_library_gives(kind: Any, source: Path, run: Run) -> None:
    path = source if kind == "model" else exported(source, kind, check=False)
    result = run("inspect", path, "--json", "--trust")
    assert (result.exit_code, result.stderr) == (0, "")
    assert json.loads(result.stdout) == inspect(path, trust=True)


def test_the_arithmetic_of_a_model(source: Path, run: Run) -> None:
    lines = run("inspect", source).stdout.splitlines()
    start = lines.index("arithmetic subgraph (model): NALU")
    assert lines[start + 1 : start + 4] == [
        "  why: NALU is a layer of nalu_export.nn; captured by torch.fx",
        "  (batch, 2) → (batch, 1)",
        "  layers.0.W = tanh(layers.0.W_hat) * sigmoid(layers.0.M_hat)",
    ]


def test_how_an_exported_file_computes_its_weights(source: Path, run: Run) -> None:
    exported(source, check=False)
    lines = run("inspect", "model.onnx").stdout.splitlines()
    start = lines.index("layers.0, layers.1:")
    assert lines[start + 1 : start + 5] == [
        "  W = tanh(W_hat)·sigmoid(M_hat)",
        "  gate of the sum: sigmoid(linear(x, G))",
        "  gate of the product: sigmoid(-linear(x, G))",
        "",
    ]


HAND = """
import torch
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(1, 2))

    def forward(self, x):
        return torch.exp(nn.functional.linear(torch.log(x.abs().clamp(min=1e-6)), torch.tanh(self.w)))
"""


def test_a_module_of_ones_own(folder: Path, run: Run) -> None:
    Path("mine.py").write_text(HAND, encoding="utf-8")
    torch.save({"w": torch.full((1, 2), 0.5)}, "model.pt")
    result = run("inspect", "model.pt", "--model", "mine.py:Mine")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "(model)  Mine  2 → 1  1e-06  tanh" in result.stdout
    assert "eps of (model): the lower bound of |x|." in result.stdout.splitlines()
    assert "  y = exp(linear(log(clamp(abs(x), 1e-06)), tanh(w)))" in result.stdout.splitlines()
    found = json.loads(run("doctor", "model.pt", "--model", "mine.py:Mine", "--json").stdout)
    assert [finding["code"] for finding in found["findings"]] == ["far-weights"]


def test_a_model_that_takes_something_else_than_its_layers_tell(folder: Path, run: Run) -> None:
    torch.save(NETS["siamese"].build(), "model.pt")
    for command in ("inspect", "doctor"):
        lines = run(command, "model.pt", "--trust").stdout.splitlines()
        assert any(line.startswith("note: only head is examined in full: Siamese does not run on 3") for line in lines)
        result = run(command, "model.pt", "--trust", "--input", "x=batch,6")
        assert "only head" not in result.stdout
    assert (
        "arithmetic subgraph (model): Siamese" in run("inspect", "model.pt", "--trust", "--input", "x=batch,6").stdout
    )


def test_arithmetic_that_the_user_names(folder: Path, run: Run) -> None:
    torch.save(NETS["several heads summed"].build(), "model.pt")
    result = run("inspect", "model.pt", "--trust", "--arithmetic", "heads.1")
    assert "arithmetic subgraph heads.1: NAC\n  why: the user named it" in result.stdout


def test_a_note(source: Path, run: Run, model: nn.Module) -> None:
    torch.save(model.state_dict(), source)
    assert (
        "assumed: eps is 1e-10, as nalu-export:NALU defines it; the file does not store it"
        in run("inspect", source).stdout.splitlines()
    )


def test_weights_that_are_not_numbers(tmp_path: Path, run: Run) -> None:
    """A diverged model is what one inspects; NaN is no JSON."""
    cell = NACCell(2, 1)
    with torch.no_grad():
        cell.W_hat.fill_(float("nan"))
    save(cell, tmp_path / "model.pt")

    def no_constants(name: str) -> Any:
        raise AssertionError(f"{name} is not JSON")

    text = run("inspect", tmp_path / "model.pt", "--json").stdout
    assert json.loads(text, parse_constant=no_constants)["weights"][""]["W"]["farthest"] is None
    assert "nan" in run("inspect", tmp_path / "model.pt").stdout


def hostile(**changes: Any) -> None:
    proto = onnx.load_from_string(Path("model.onnx").read_bytes())
    for entry in proto.metadata_props:
        name = entry.key.removeprefix("nalu_export.")
        if name in changes:
            entry.value = changes[name] if isinstance(changes[name], str) else json.dumps(changes[name])
    Path("model.onnx").write_bytes(proto.SerializeToString())


LAYER = {"path": "layers.0", "type": "NALUCell", "in_features": 2, "out_features": 3, "eps": 1e-10}


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"tool": "[/bold]", "torch": "[red]", "compute": "\x1b[31mred"},
        {"tool": "\x1b]0;title\x07", "source_sha256": "a\nb\r"},
        {"layers": []},
        {"layers": [LAYER, LAYER | {"path": "layers.1", "in_features": 3, "out_features": 1}]},
        {"inputs": [], "outputs": []},
        {"inputs": [{"name": "[/x]\x1b[0m", "dtype": "\n", "shape": ["[/y]", 3]}]},
        {"parity": {"[/verdict]": "\x1b", "a": [1, {"b": None}]}},
        {"parity": {}},
    ],
    ids=str,
)
def test_hostile_metadata_is_shown_as_it_is(changes: Any, as_json: bool, source: Path, run: Run) -> None:
    """It is neither markup nor an escape sequence, and no traceback."""
    exported(source, check=False)
    hostile(**changes)
    result = run("inspect", "model.onnx", *(["--json"] if as_json else []))
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout
    if as_json:
        json.loads(result.stdout)
    elif "tool" in changes:
        assert "tool: [/bold]" in result.stdout or r"tool: \x1b]0;title\x07" in result.stdout


@pytest.mark.parametrize(
    "row",
    [{"path": "[/x]", "type": "[bold]"}, {"path": "\x1b[31m", "type": "a\nb"}, {"path": "p", "type": "t", "eps": "e"}],
    ids=str,
)
def test_hostile_layers_of_an_archive_that_is_not_loaded(row: Any, source: Path, run: Run) -> None:
    import io
    import zipfile

    path = exported(source, "torchscript", check=False)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name in members if name.endswith("extra/nalu_export.json")]
    metadata = json.loads(members[name]) | {"nalu_export.layers": json.dumps([row])}
    members[name] = json.dumps(metadata).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    path.write_bytes(buffer.getvalue())
    result = run("inspect", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout


def test_user_errors(source: Path, run: Run) -> None:
    exported(source, check=False)
    hostile(layers=[LAYER | {"path": "elsewhere"}])
    Path("text").write_text("text", encoding="utf-8")
    for path, text in {
        "missing": "missing: cannot be read: No such file or directory",
        "text": "text: is not a file of torch.save; expected a model.pt",
        "model.onnx": "model.onnx: the file has no tensors of its layer 'elsewhere'; export it again",
    }.items():
        for options in ([], ["--json"], ["--trust"]):
            assert_user_error(run("inspect", path, *options), 2, text)
    assert listing() == ["model.onnx", "model.pt", "text"]


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--verbose"], ["a", "--model"]])
def test_wrong_usage(arguments: list[str], run: Run) -> None:
    result = run("inspect", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: " in result.stderr


@pytest.mark.parametrize("name", ["a b.pt", "größe.pt", "a\nb.pt", "-x.pt", "[red]x.pt"])
def test_any_file_name(name: str, source: Path, run: Run) -> None:
    source.rename(name)
    result = run("inspect", "--", name)
    assert (result.exit_code, result.stderr) == (0, "")
