"""Every kind of input and output in every format and runtime."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from torch import nn

import nalu_export
from nalu_export import NALU, formats, runtimes
from nalu_export.api.artifact import Artifact, read_artifact
from nalu_export.errors import ParityError, RuntimeUnavailableError
from nalu_export.formats import FormatName
from nalu_export.inputs.example import example_of_given
from nalu_export.modules import jit
from nalu_export.parity import Report
from tests.interfaces.nets import CASES

Exported = Callable[[str, str], Artifact]
RUNTIMES = [pytest.param(name, marks=pytest.mark.cuda if runtimes.get(name).cuda else ()) for name in runtimes.names()]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Each model in each format once, unchecked."""

    @functools.cache
    def export(name: str, kind: FormatName) -> Artifact:
        case = CASES[name]
        path = tmp_path_factory.mktemp("interfaces") / f"model{formats.get(kind).suffix}"
        given: dict[str, Any] = {"example_inputs": case.example, **case.options}
        return nalu_export.export(case.build(), path, format=kind, check=False, **given)

    return export


def checked(name: str, artifact: Artifact, runtime: str | None = None, **options: Any) -> Report:
    case = CASES[name]
    settings: dict[str, Any] = {"samples": 8, "search": 1, "example_inputs": case.example, **case.options} | options
    return nalu_export.check(case.build(), artifact, runtime, **settings)


def described(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {row["name"]: (row["dtype"], row["shape"]) for row in rows}


@pytest.mark.quick(4)
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", CASES)
def test_every_runtime_gives_what_the_model_gives(name: str, runtime: str, exported: Exported) -> None:
    artifact = exported(name, runtimes.get(runtime).format or "onnx")
    try:
        report = checked(name, artifact, runtime)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    assert report.passed, report.summary()
    assert not report.uncompared_outputs(runtime)


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", formats.names())
@pytest.mark.parametrize("name", CASES)
def test_a_file_says_what_it_takes_and_gives(name: str, kind: str, exported: Exported) -> None:
    case, metadata = CASES[name], exported(name, kind).metadata
    if kind == "cpp" and not case.header:
        assert metadata["part"]["path"]
        return
    # A header has one size of each axis.
    fixed = {"time": 4} if kind == "cpp" else {}
    for key, wanted in (("inputs", case.inputs), ("outputs", case.outputs)):
        sized = {n: (t, [fixed.get(str(size), size) for size in shape]) for n, (t, shape) in wanted.items()}
        assert described(metadata[key]) == sized


@pytest.mark.quick(9)
@pytest.mark.parametrize("samples", [0, 1, 5])
@pytest.mark.parametrize("name", CASES)
def test_batches_of_any_size(name: str, samples: int, exported: Exported) -> None:
    case = CASES[name]
    tensors = [x[torch.arange(samples) % len(x)] for x in example_of_given(case.build(), case.example).tensors]
    session = onnxruntime.InferenceSession(exported(name, "onnx").data)
    outs = session.run(None, {spec.name: x.numpy() for spec, x in zip(session.get_inputs(), tensors, strict=True)})
    script = jit.load(exported(name, "torchscript").data)(*tensors)
    scripted = list(script) if isinstance(script, tuple) else [script]
    assert len(outs) == len(scripted) == len(case.outputs)
    for out, tensor, (output, (dtype, shape)) in zip(outs, scripted, case.outputs.items(), strict=True):
        if output == "best" and not samples:
            continue  # ONNX Runtime's ArgMax reduces nothing where there is nothing
        assert out.shape == tuple(tensor.shape)
        assert out.dtype == tensor.numpy().dtype == np.dtype(dtype)
        assert out.shape[:1] == ((samples,) if shape[:1] == ["batch"] else tuple(shape[:1]))


def swapped(proto: onnx.ModelProto) -> None:
    """Two inputs of one shape, one for the other."""
    for node in proto.graph.node:
        turned = {"state_0": "state_1", "state_1": "state_0"}
        node.input[:] = [turned.get(name, name) for name in node.input]


def dropped(proto: onnx.ModelProto) -> None:
    del proto.graph.output[-1]


def renamed(proto: onnx.ModelProto) -> None:
    proto.graph.node.append(helper.make_node("Identity", ["output_0"], ["other"]))
    proto.graph.output[0].name = "other"


def scaled(proto: onnx.ModelProto) -> None:
    """The last output only, by one part in a thousand."""
    last = proto.graph.output[-1].name
    for node in proto.graph.node:
        node.output[:] = ["before" if name == last else name for name in node.output]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1.001], np.float32), "factor"))
    proto.graph.node.append(helper.make_node("Mul", ["before", "factor"], [last]))


FAULTS = [
    (swapped, "times its bound"),
    (dropped, "the runtime returned 2 outputs, expected 3"),
    (renamed, "the name of its output is 'other', its metadata says 'output_0'"),
    (scaled, "first divergence: output_1_1"),
]


@pytest.mark.parametrize(("fault", "text"), FAULTS)
def test_a_planted_fault_is_found(
    fault: Callable[[onnx.ModelProto], None], text: str, exported: Exported, tmp_path: Path
) -> None:
    proto = onnx.load_from_string(exported("state", "onnx").data)
    fault(proto)
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    report = checked("state", read_artifact(path))
    assert report.status == "failed"
    assert text in "; ".join([report.summary(), *(row.problem for row in report.rows)])


@pytest.mark.parametrize(("output", "value"), [("best", 0), ("positive", True)])
def test_a_wrong_integer_or_truth_value_is_found(output: str, value: Any, exported: Exported, tmp_path: Path) -> None:
    proto = onnx.load_from_string(exported("dict", "onnx").data)
    node = next(node for node in proto.graph.node if output in node.output)
    node.output[list(node.output).index(output)] = "right"
    constant = np.asarray(value, np.bool_ if output == "positive" else np.int64)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(constant, "constant"))
    if output == "best":
        proto.graph.node.append(helper.make_node("Mul", ["right", "constant"], [output]))
    else:
        proto.graph.node.append(helper.make_node("Or", ["right", "constant"], [output]))
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    report = checked("dict", read_artifact(path))
    assert report.status == "failed"
    assert f"first divergence: {output}" in report.summary()


def test_inputs_in_another_order_are_matched_by_name(exported: Exported, tmp_path: Path) -> None:
    proto = onnx.load_from_string(exported("state", "onnx").data)
    values = list(proto.graph.input)[::-1]
    del proto.graph.input[:], proto.metadata_props[:]
    proto.graph.input.extend(values)
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    report = checked("state", read_artifact(path))
    assert report.passed, report.summary()


def test_real_inputs_beside_the_drawn_ones(exported: Exported) -> None:
    rng = np.random.default_rng(0)
    x, known = rng.random((40, 3), np.float32), rng.random((40, 3)) < 0.5
    report = checked("dict", exported("dict", "onnx"), inputs={"real": {"x": x, "known": known}})
    assert report.passed
    assert (
        next(row.samples for row in report.rows if row.distribution == "real" and row.runtime == "onnxruntime-cpu")
        == 40
    )


def test_an_output_of_which_nothing_is_compared_is_named(tmp_path: Path) -> None:
    class Lost(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = NALU(3, 2)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"y": self.cell(x), "lost": torch.log((self.cell(x) - self.cell(x)).abs())}

    torch.manual_seed(0)
    with pytest.raises(ParityError, match=r"nothing was compared for output lost in onnxruntime-cpu$") as error:
        nalu_export.export(Lost().eval(), tmp_path / "m.onnx", example_inputs=torch.ones(2, 3))
    report = error.value.report
    assert isinstance(report, Report)
    assert report.status == "nothing compared"
    assert report.uncompared_outputs("onnxruntime-cpu") == ("lost",)
