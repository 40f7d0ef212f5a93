"""``nalu-export check`` where nothing can be compared, and where one fault stops every batch."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nalu_export import NALU
from tests.cli.conftest import Run

REASON = "layers.0.a = linear(x, W) may leave the range of float32"
FEW = ("--samples", "8", "--search", "0")


@pytest.fixture
def model() -> nn.Module:
    """Sums of both signs, which leave float32 whatever their order."""
    found = NALU(2, 3, 1)
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            parameter.fill_(9.0)
            if name.endswith("W_hat"):
                parameter[:, 1:].neg_()
    return found


def _replay(*rows: tuple[str, float]) -> tuple[str, ...]:
    np.savez("x.npz", **{name: np.full((2, 2), value, np.float32) for name, value in rows})  # type: ignore[arg-type]
    return "--replay", "x.npz"


def test_a_check_that_compares_nothing_is_not_a_pass(source: Path, artifact: Path, run: Run) -> None:
    replay = _replay(("big", 3e38))
    result = run("check", source, artifact, *replay, "--json", "r.json", "--junit", "r.xml", "--html", "r.html")
    assert result.exit_code == 1
    last = result.stdout.splitlines()[-1]
    assert last == f"nothing compared: onnxruntime-cpu: all 2 outputs were left out; {REASON}"
    assert "passed: " not in result.stdout
    report = json.loads(Path("r.json").read_text(encoding="utf-8"))
    assert (report["status"], report["passed"], report["allow_empty"]) == ("nothing compared", False, False)
    (row,) = [row for row in report["rows"] if row["distribution"] == "big"]
    assert (row["status"], row["undetermined"], row["outputs"]) == ("nothing compared", 2, 2)
    assert row["reasons"] == [REASON]
    assert ET.parse("r.xml").getroot().get("failures") == "1"
    assert "<title>nothing compared: " in Path("r.html").read_text(encoding="utf-8")


def test_it_may_be_allowed(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, *_replay(("big", 3e38)), "--allow-empty", "--junit", "r.xml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1].startswith("nothing compared: ")
    assert ET.parse("r.xml").getroot().get("failures") == "0"
    quiet = run("check", source, artifact, *_replay(("big", 3e38)), "-q")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert quiet.stderr.startswith(
        "nalu-export: nothing was compared for onnxruntime-cpu: all 2 outputs were left out; "
    )


def test_rows_that_are_left_out_in_part_say_how_many(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, *_replay(("big", 3e38), ("small", 2.0)))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].endswith(f"; 1 of 3 rows compared nothing ({REASON})")
    assert any(line.split()[:2] == ["big", "0/2"] for line in result.stdout.splitlines())


def test_one_fault_is_one_line(source: Path, artifact: Path, run: Run) -> None:
    proto = onnx.load(artifact)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(proto, "fixed.onnx")
    result = run("check", source, "fixed.onnx", "--junit", "r.xml", *FEW)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert len(lines) <= 12
    assert sum("the batch axis is fixed at 1; a batch of 2 is refused: " in line for line in lines) == 2
    assert lines[-1].startswith("FAILED: onnxruntime-cpu on every input: the batch axis is fixed at 1; ")
    # The other one: its metadata says that the batch is free.
    assert ET.parse("r.xml").getroot().get("failures") == "2"
