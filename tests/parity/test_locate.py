"""nalu_export.parity.locate: the first divergence is named, wherever it was planted."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, BackboneHead, NALUCell, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.evaluation import run
from nalu_export.graph.example import OUTPUT
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.graph.interface import Called, positional
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from nalu_export.parity.batch import Batch
from nalu_export.parity.locate import IntermediateValues, compare_intermediate_values, name_of, of_output
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import Divergence, Worst
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import expected_of
from tests.captured import graph_of
from tests.faults import edit

Change = Callable[[onnx.ModelProto], None]
MODES = list(itertools.product(WEIGHTS, COMPUTE))
X = np.random.default_rng(0).uniform(0.5, 3, (6, 4)).astype(np.float32)


def _model() -> NALU:
    torch.manual_seed(0)
    return NALU(4, 5, 2)


def _loaded(runtime: str, model: nn.Module, data: bytes) -> Session:
    return runtimes.get(runtime).load(Called(model, positional(1)), data, RunOptions())


def _session(model: nn.Module, weights: Weights, compute: Compute, change: Change | None = None) -> Session:
    data = formats.get("onnx").emit(graph_of(model), EmitOptions(weights, compute)).to_bytes({})
    if change is not None:
        proto = onnx.load_from_string(data)
        change(proto)
        data = proto.SerializeToString()
    return _loaded("onnxruntime-cpu", model, data)


def _look(weights: Weights, compute: Compute, change: Change | None = None, x: Any = X) -> IntermediateValues:
    model = _model()
    return compare_intermediate_values(
        Reference(graph_of(model)), _session(model, weights, compute, change), Batch.of(x), Profile(compute), "ort"
    )


def _after(name: str, op_type: str, operand: float) -> Change:
    """One more operation on a value, whose name stays."""

    def change(proto: onnx.ModelProto) -> None:
        target = edit.producer(proto, name)
        dtype = np.float64 if any(tensor.name == "1e-10:float64" for tensor in proto.graph.initializer) else np.float32
        new, old = edit.detach(target)
        following = edit.following(proto, target)
        edit.node(proto, op_type, [new, edit.literal(proto, operand, dtype)], before=following, output=old)

    return change


@pytest.mark.parametrize(("weights", "compute"), MODES)
def test_a_right_file_holds_everywhere(weights: Weights, compute: Compute) -> None:
    found = _look(weights, compute)
    assert found.first is None
    assert found.values >= 20
    assert found.numbers > 300
    assert 0 < found.ratio <= 1


@pytest.mark.quick(9)
@pytest.mark.parametrize(("weights", "compute"), MODES)
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("layers.0.a", "linear(x, W)"),
        ("layers.0.log", "log(add)"),
        ("layers.0.m", "exp(linear)"),
        ("layers.0.z", "linear(x, G)"),
        ("layers.0.mul", "mul(g, a)"),
        ("layers.0.y", "add(mul, mul_2)"),
        ("layers.1.z", "linear(y, G)"),
    ],
)
def test_a_value_that_is_off_is_named(name: str, formula: str, weights: Weights, compute: Compute) -> None:
    found = _look(weights, compute, _after(name, "Mul", 1.0 + 1e-4))
    assert found.first is not None
    assert (found.first.runtime, found.first.value, found.first.formula, found.first.reason) == (
        "ort",
        name,
        formula,
        "",
    )
    assert len(found.first.index) == 1
    assert abs(found.first.got - found.first.expected) > found.first.bound
    assert found.ratio > 1


@pytest.mark.parametrize("compute", COMPUTE)
@pytest.mark.parametrize("name", ["layers.0.W", "layers.1.W", "layers.0.G", "layers.1.G"])
def test_a_weight_that_is_off_is_named_with_its_place(name: str, compute: Compute) -> None:
    def change(proto: onnx.ModelProto) -> None:
        def at(value: NDArray[Any]) -> NDArray[Any]:
            value[1, 2] *= 1 + 1e-5
            return value

        edit.change(proto, name, at)

    found = _look("folded", compute, change).first
    assert found is not None
    assert (found.value, found.formula, found.index) == (name, "weight", (1, 2))
    if name.endswith("G"):
        assert found.expected == pytest.approx(float(_model().state_dict()[name][1, 2]), rel=1e-7)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_gate_parameter_in_a_live_file_and_a_raw_one(weights: Weights) -> None:
    gate = _look(weights, "float32", lambda proto: edit.change(proto, "layers.1.G", lambda value: -value)).first
    assert gate is not None
    assert gate.value == "layers.1.G"
    if weights == "live":
        raw = _look(
            "live", "float32", lambda proto: edit.change(proto, "layers.0.M_hat", lambda value: value + 0.01)
        ).first
        assert raw is not None
        # Not the effective weight, which is computed from it.
        assert raw.value == "layers.0.M_hat"


@pytest.mark.parametrize(("weights", "compute"), MODES)
def test_epsilon_that_is_deleted_shows_where_it_was(weights: Weights, compute: Compute) -> None:
    def change(proto: onnx.ModelProto) -> None:
        (literal,) = [tensor.name for tensor in proto.graph.initializer if tensor.name.startswith("1e-10")]
        edit.change(proto, literal, np.zeros_like)

    assert _look(weights, compute, change).first is None or compute == "float64"
    x = X.copy()
    x[2, 1] = 0
    found = _look(weights, compute, change, x).first
    assert found is not None
    assert (found.value, found.formula) == ("layers.0.add", "add(abs, 1e-10)")
    if compute == "float32":
        assert (found.index, found.got, found.expected) == ((1,), 0.0, 1e-10)


def test_the_first_wrong_value_is_the_first_in_the_order_of_computation() -> None:
    def change(proto: onnx.ModelProto) -> None:
        _after("layers.1.m", "Mul", 2.0)(proto)
        _after("layers.0.m", "Mul", 1.001)(proto)

    found = _look("folded", "float32", change)
    assert found.first is not None
    assert found.first.value == "layers.0.m"
    assert found.ratio > 1000


@pytest.mark.parametrize("compute", COMPUTE)
def test_nan_is_wrong(compute: Compute) -> None:
    found = _look("folded", compute, _after("layers.0.z", "Mul", float("nan")))
    assert found.first is not None
    assert found.first.value == "layers.0.z"
    assert np.isnan(found.first.got)
    assert np.isinf(found.ratio)
    assert "layers.0.z[0] = linear(x, G) is NaN, expected" in str(found.first)


def test_another_shape_is_wrong() -> None:
    def change(proto: onnx.ModelProto) -> None:
        edit.change(proto, "layers.1.W", lambda value: value)
        tensor = edit.constant(proto, "layers.1.W")
        extra = onnx.numpy_helper.from_array(np.ones((3, 7), np.float32), "layers.0.W:kept")
        assert tensor.dims == [2, 5]
        proto.graph.initializer.append(extra)
        for node in proto.graph.node:
            node.input[:] = ["layers.0.W:right" if name == "layers.0.W" else name for name in node.input]
        edit.constant(proto, "layers.0.W").name = "layers.0.W:right"
        edit.constant(proto, "layers.0.W:kept").name = "layers.0.W"

    found = _look("folded", "float32", change)
    assert found.first is not None
    assert (found.first.value, found.first.index) == ("layers.0.W", ())
    assert np.isinf(found.ratio)


def test_what_overflows_is_not_looked_at() -> None:
    x = np.full((1, 4), 3e38, np.float32)
    model = NALUCell(4, 2)
    with torch.no_grad():
        model.W_hat.fill_(20.0)
        model.M_hat.fill_(20.0)
    found = compare_intermediate_values(
        Reference(graph_of(model)), _session(model, "folded", "float32"), Batch.of(x), Profile(), "ort"
    )
    assert found.first is None


@pytest.mark.quick(2)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("compute", COMPUTE)
def test_torchscript_is_looked_into_as_well(weights: Weights, compute: Compute) -> None:
    kind, model = formats.get("torchscript"), _model()
    data = kind.emit(graph_of(model), EmitOptions(weights, compute)).to_bytes({})
    session = _loaded("torchscript", model, data)
    right = compare_intermediate_values(Reference(graph_of(model)), session, Batch.of(X), Profile(compute), "ts")
    assert right.first is None
    assert right.values >= 16
    # The same file beside another model: its first weight is another one.
    torch.manual_seed(1)
    wrong = compare_intermediate_values(
        Reference(graph_of(NALU(4, 5, 2))), session, Batch.of(X), Profile(compute), "ts"
    )
    assert wrong.first is not None
    assert wrong.first.value == ("layers.0.W" if weights == "folded" else wrong.first.value)
    assert wrong.first.value.startswith("layers.0.")


def test_eager_pytorch_shows_nothing() -> None:
    model = _model()
    session = _loaded("torch", model, b"")
    assert compare_intermediate_values(
        Reference(graph_of(model)), session, Batch.of(X), Profile(own_weights=True), "torch"
    ) == IntermediateValues(0, 0, 0.0, None)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_head_behind_a_backbone_is_looked_into(image_model: BackboneHead, name: str) -> None:
    kind, graph = formats.get(name), graph_of(image_model, (1, 8, 8))
    data = kind.emit(graph, EmitOptions()).to_bytes({})
    session = _loaded(kind.runtime, image_model, data)
    x = Batch.of(np.random.default_rng(0).uniform(0, 1, (3, 1, 8, 8)).astype(np.float32))
    reference = Reference(graph, [x])
    found = compare_intermediate_values(reference, session, x, Profile(), name)
    assert found.first is None
    assert found.values >= 8
    if name == "onnx":
        proto = onnx.load_from_string(data)
        _after("head.x", "Mul", 1.1)(proto)
        session = _loaded(kind.runtime, image_model, proto.SerializeToString())
        wrong = compare_intermediate_values(reference, session, x, Profile(), name).first
        assert wrong is not None
        assert wrong.value == "head.x"
        assert wrong.formula == "sum"


# The output -------------------------------------------------------------------------------------------------------


def _of_output(
    model: nn.Module, x: NDArray[np.float32], out: NDArray[np.float32], *, looked: bool = True
) -> Divergence:
    """The break of an output that is the worst of one sample."""
    reference = Reference(graph_of(model))
    expected = expected_of(reference, x, [Profile()])[Profile()]
    parts = (out[0], expected.reference[0], expected.bound[0], expected.torch[0])
    worst = Worst("ort", "f", 2.0, {"input": x[0]}, OUTPUT, *parts)
    return of_output(reference, worst, [OUTPUT], Profile(), looked=looked)


def _output(change: Callable[[NDArray[Any]], NDArray[Any]], *, looked: bool = True) -> Divergence:
    model = _model()
    with torch.no_grad():
        out = model.double()(torch.from_numpy(X[:1]).double()).float().numpy()
    model.float()
    return _of_output(model, X[:1], change(out), looked=looked)


def test_an_output_that_is_off_is_named() -> None:
    def change(out: NDArray[Any]) -> NDArray[Any]:
        out[0, 1] += 1
        return out

    found = _output(change)
    assert (found.value, found.formula, found.index, found.reason) == (OUTPUT, "add(mul, mul_2)", (1,), "")
    assert found.got == pytest.approx(found.expected + 1)


def test_where_nothing_was_seen_inside_the_reason_is_told() -> None:
    found = _output(lambda out: out * 2, looked=False)
    assert found.value == OUTPUT
    assert found.reason == "the intermediate values cannot be read or have other names"


def test_a_worst_input_that_holds_alone_is_said_to() -> None:
    found = _output(lambda out: out)
    assert (found.value, found.reason) == ("", "the worst input is within its bound when it runs alone")
    assert str(found) == found.reason


@pytest.mark.slow
def test_weights_of_other_layers_are_not_looked_at() -> None:
    """An exporter folds the batch norm into the weight of the convolution and leaves its name."""

    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 1, 3, 3))
            self.norm, self.head = nn.BatchNorm2d(3), NALU(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.head(torch.relu(self.norm(F.conv2d(x, self.weight))).mean((2, 3)))
            return found

    torch.manual_seed(0)
    model = Functional().eval()
    x = Batch.of(np.random.default_rng(0).uniform(1, 2, (3, 1, 6, 6)).astype(np.float32))
    graph = graph_of(model, (1, 6, 6))
    data = formats.get("onnx").emit(graph, EmitOptions()).to_bytes({})
    session = _loaded("onnxruntime-cpu", model, data)
    reference = Reference(graph)
    found = compare_intermediate_values(reference, session, x, Profile(), "ort")
    assert found.first is None
    names = {name_of(node) for node, _ in reference.values(x, Profile())}
    assert "weight" not in names
    assert "head.layers.0.W" in names


def test_a_zero_of_the_wrong_sign_is_a_break() -> None:
    from nalu_export import NACCell

    cell = NACCell(2, 1)
    with torch.no_grad():
        cell.W_hat.fill_(1.0)
    x, out = np.zeros((1, 2), np.float32), np.array([[-0.0]], np.float32)
    found = _of_output(cell, x, out)
    assert (found.value, found.index, found.bound) == (OUTPUT, (0,), 0.0)
    assert np.signbit(found.got)
    assert not np.signbit(found.expected)
    assert "is -0, expected 0 ± 0" in str(found)


class _TwoInputs(nn.Module):
    """A region of a larger forward that reads two values of other shapes; neither is the model's input."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv1d(2, 3, 3), nn.Conv1d(2, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = self.a(x), self.b(x)
        y: Tensor = first.mean(2) / (second.abs().mean(2) + 1e-3)
        return y


def test_inputs_of_a_subgraph_are_numbered_as_in_the_file() -> None:
    graph = graph_of(_TwoInputs().eval(), (2, 6))
    (subgraph,) = graph.subgraphs.values()
    entries = [name for node in graph.flat.graph.nodes if (name := name_of(node)) and ".x" in name]
    assert len(entries) == len(subgraph.inputs) >= 2
    assert sorted(entries) == [f"{subgraph.name}.x", f"{subgraph.name}.x_2"]
    shapes = [tuple(value.shape) for node, value in run(graph.flat, *graph.example).items() if name_of(node) in entries]
    assert sorted(shapes) == sorted(spec.shape for spec in subgraph.inputs)
    data = formats.get("onnx").emit(graph, EmitOptions()).to_bytes({})
    report = check_bytes(
        CheckRequest(graph, data, [((2, 6),)], "float32", ["onnxruntime-cpu"], CheckOptions(samples=8, search=0))
    )
    assert report.passed, report.summary()
