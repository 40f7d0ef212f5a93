"""Names from a file that would break out of generated source, of a terminal or of a page: refused or harmless."""

import json
import os
import string
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nalu_export import InputError, NACCell, export, load
from nalu_export.checkpoints import description
from nalu_export.checkpoints.description import build, describe
from nalu_export.cli.main import main
from tests.checkpoints import files
from tests.hostile.exports import exported
from tests.hostile.watch import watched

CELL = {"type": "NACCell", "args": {"in_features": 2, "out_features": 2}}
EVIL = 'x", getattr(__import__("os"), "system")("touch executed")) #'
ODD = ["0", "fc-1", "-", "--help", "self", "x", "W", "input", "__import__", "os", "print", "0x", "_", "I" * 60]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def named(name: str) -> bytes:
    """A model whose layer has this name, alone and behind a Linear."""
    state = {f"{name}.W_hat": torch.ones(2, 2), f"{name}.M_hat": torch.ones(2, 2), "first.weight": torch.ones(2, 2)}
    return files.torch_bytes(
        files.native({"type": "Sequential", "children": {"first": files.linear(), name: CELL}}, state)
    )


def alone(name: str) -> bytes:
    """The same without the Linear, so that the whole model is arithmetic."""
    state = {f"{name}.W_hat": torch.ones(2, 2), f"{name}.M_hat": torch.ones(2, 2)}
    return files.torch_bytes(files.native({"type": "Sequential", "children": {name: CELL}}, state))


@pytest.mark.quick(10)
@pytest.mark.parametrize(
    ("name", "make"), [*((name, alone) for name in ODD), *((name, named) for name in ("fc-1", "self"))]
)
def test_what_is_taken_is_harmless(name: str, make: Callable[[str], bytes], here: Path) -> None:
    """Through both exporters, which write source text, and their checks."""
    Path("model.pt").write_bytes(make(name))
    for kind in ("onnx", "torchscript"):
        assert export("model.pt", "out", format=kind).report.passed
    assert "executed" not in os.listdir()


def test_a_name_that_the_written_source_needs_itself(here: Path) -> None:
    """In the source that torch writes, the layer hides the module torch: the file does not load, and is refused."""
    Path("model.pt").write_bytes(alone("torch"))
    with pytest.raises(InputError, match=r"^torchscript refuses the file: "):
        export("model.pt", format="torchscript")
    assert os.listdir() == ["model.pt"]


def test_the_rule_is_what_keeps_it_out(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it torch.fx runs the name of the layer: the sentinel is there."""
    Path("model.pt").write_bytes(alone(EVIL))
    with pytest.raises(InputError, match="has a layer named"):
        export("model.pt")
    assert not Path("executed").exists()
    monkeypatch.setattr(description, "_refuse_code", lambda names: None)
    with watched() as events, pytest.raises(Exception):  # noqa: B017, PT011  whatever torch makes of it
        export("model.pt", format="torchscript")
    assert Path("executed").exists()
    assert any(text.startswith("os.system") for text in events)


@given(st.text(max_size=20) | st.text(string.punctuation + string.ascii_letters + "\n\\\"' ", max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_name_that_is_taken_cannot_leave_a_string(name: str) -> None:
    try:
        build({"type": "Sequential", "children": {name: CELL}})
    except InputError:
        pass
    else:
        assert set(name) <= set(string.ascii_letters + string.digits + "_-")


def test_a_model_with_such_a_name_is_saved_without_a_description(here: Path) -> None:
    assert describe(nn.Sequential(NACCell(2, 1))) is not None
    model = nn.Sequential()
    model.add_module("a b", NACCell(2, 1))
    assert describe(model) is None


ESCAPES = "\x1b[2J\x1b]0;title\x07\u202e\n<script>alert(1)</script>"


def test_names_of_an_artifact_are_shown_as_text(here: Path) -> None:
    proto = onnx.load_from_string(exported("onnx"))
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.layers":
            (row,) = json.loads(entry.value)
            old, row["path"] = row["path"], ESCAPES
            entry.value = json.dumps([row])
        elif entry.key == "nalu_export.tool":
            entry.value = ESCAPES
    for tensor in proto.graph.initializer:
        tensor.name = tensor.name.replace(old, ESCAPES)
    Path("out.onnx").write_bytes(proto.SerializeToString())
    shown = CliRunner(catch_exceptions=False).invoke(main, ["inspect", "out.onnx"])
    assert shown.exit_code == 0
    assert shown.stdout.replace("\n", "").isprintable()
    plain = CliRunner(catch_exceptions=False).invoke(main, ["inspect", "out.onnx", "--json"])
    assert json.loads(plain.stdout)["tool"] == ESCAPES


def test_metadata_of_safetensors_is_shown_nowhere(here: Path) -> None:
    tensors = {
        f"layers.0.{name}": {"dtype": "F32", "shape": [1, 2], "data_offsets": [start, start + 8]}
        for name, start in (("W_hat", 0), ("M_hat", 8))
    }
    Path("model.pt").write_bytes(files.safetensors_bytes({"__metadata__": {ESCAPES: ESCAPES}} | tensors, bytes(16)))
    for command in (["inspect", "model.pt"], ["doctor", "model.pt"], ["model.pt", "-f", "onnx"]):
        shown = CliRunner(catch_exceptions=False).invoke(main, command)
        assert shown.exit_code in (0, 1)
        assert shown.output.replace("\n", "").isprintable()
        assert "script" not in shown.output


def test_members_that_climb_out_are_never_written(here: Path) -> None:
    """Nothing is ever unpacked to a disk: a good file with such a member loads, and leaves nothing."""
    members = files.members_of(files.torch_bytes(files.nac_state())) | {"archive/../../../climbed": b"x"}
    Path("model.pt").write_bytes(files.zip_bytes(members))
    with watched() as events:
        load("model.pt")
    assert (events, os.listdir()) == ([], ["model.pt"])
