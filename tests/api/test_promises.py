"""nalu_export.api.promises: a file that is not what its metadata says, right as its numbers may be."""

import math
from pathlib import Path
from typing import Any

import onnx
import pytest

import nalu_export
from nalu_export import NAC, Artifact
from nalu_export.api.promises import with_metadata
from nalu_export.parity import Report


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return nalu_export.export(NAC(3, 2), tmp_path_factory.mktemp("promises") / "a.onnx")


def _held(artifact: Artifact, metadata: dict[str, Any]) -> Report:
    return with_metadata(artifact.report, artifact.format, artifact.content, metadata)


def _saying(artifact: Artifact, kind: str, **changes: Any) -> dict[str, Any]:
    return {**artifact.metadata, kind: [{**artifact.metadata[kind][0], **changes}]}


def test_a_file_as_its_metadata_says_changes_nothing(artifact: Artifact) -> None:
    assert _held(artifact, artifact.metadata) is artifact.report


def test_a_file_that_says_nothing_promises_nothing(artifact: Artifact) -> None:
    assert _held(artifact, {}) is artifact.report


def test_a_file_that_cannot_be_told_without_running_it_is_left_to_the_runtime(artifact: Artifact) -> None:
    wrong = _saying(artifact, "outputs", name="other")
    assert with_metadata(artifact.report, "torchscript", b"", wrong) is artifact.report


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        ("inputs", {"name": "x"}, "the name of its input is 'input', its metadata says 'x'"),
        ("outputs", {"name": "result"}, "the name of its output is 'output', its metadata says 'result'"),
        ("outputs", {"dtype": "float64"}, "the type of its output is 'float32', its metadata says 'float64'"),
        ("inputs", {"shape": ["batch", 4]}, "the shape of its input is (batch, 3), its metadata says (batch, 4)"),
        ("outputs", {"shape": [1, 2]}, "the shape of its output is (batch, 2), its metadata says (1, 2)"),
        ("outputs", {"shape": ["batch"]}, "the shape of its output is (batch, 2), its metadata says (batch)"),
    ],
)
def test_the_first_difference_fails_every_runtime_that_decides(
    artifact: Artifact, kind: str, changes: dict[str, Any], problem: str
) -> None:
    report = _held(artifact, _saying(artifact, kind, **changes))
    assert not report.passed
    (row,) = report.rows[len(artifact.report.rows) :]
    assert (row.runtime, row.problem, row.max_e) == ("onnxruntime-cpu", problem, math.inf)
    assert problem in report.summary()


def test_another_number_of_outputs(artifact: Artifact) -> None:
    report = _held(artifact, artifact.metadata | {"outputs": artifact.metadata["outputs"] * 2})
    assert report.rows[-1].problem == "the file has 1 outputs, its metadata says 2"


def _renamed(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        node.output[:] = ["result" if name == "output" else name for name in node.output]
    proto.graph.output[0].name = "result"


def _other_axis(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "samples"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_renamed, "the name of its output is 'result', its metadata says 'output'"),
        (_other_axis, "the shape of its output is (samples, 2), its metadata says (batch, 2)"),
    ],
)
def test_a_check_sees_what_was_changed_in_a_file(artifact: Artifact, tmp_path: Path, change: Any, problem: str) -> None:
    """The numbers are right: without its metadata the same file passes."""
    model = NAC(3, 2)
    made = nalu_export.export(model, tmp_path / "a.onnx", check=False)
    proto = onnx.load_from_string(made.data)
    change(proto)
    onnx.save(proto, tmp_path / "changed.onnx")
    report = nalu_export.check(model, tmp_path / "changed.onnx", samples=4, search=0)
    assert [row.problem for row in report.rows if row.problem] == [problem]
    assert not report.passed
    del proto.metadata_props[:]
    onnx.save(proto, tmp_path / "foreign.onnx")
    assert nalu_export.check(model, tmp_path / "foreign.onnx", samples=4, search=0).passed
