"""Modules as users write them: they export as they are, and the verdict is about the module itself."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nalu_export
from nalu_export import InputError, UnsupportedLayerError, formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Weights
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from nalu_export.primitives.precision import Compute
from nalu_export.source.preparing import SourceOptions, prepared
from tests.handwritten.cells import CELL_SHAPE, CELLS
from tests.handwritten.nets import NETS, REFUSED, WRAPPED
from tests.handwritten.public import PUBLIC
from tests.handwritten.several import SEVERAL

FEW = CheckOptions(samples=16, search=0)


def _problem(graph: ModelGraph, name: str, weights: Weights, compute: Compute) -> str:
    """What a check of an export finds wrong, empty where nothing is."""
    kind = formats.get(name)
    data = kind.emit(graph, EmitOptions(weights, compute)).to_bytes({})
    report = check_bytes(CheckRequest(graph, data, [graph.sizes], compute, [kind.runtime], FEW))
    return "" if report.passed else report.summary()


@pytest.fixture(scope="module")
def captured() -> dict[str, ModelGraph]:
    """Every cell, captured once."""
    return {name: prepared(build(), SourceOptions()).graph for name, build in CELLS.items()}


@pytest.mark.slow
def test_every_cell_is_one_subgraph(captured: dict[str, ModelGraph]) -> None:
    assert {name: list(graph.subgraphs) for name, graph in captured.items() if graph.whole is None} == {}
    assert {graph.how for graph in captured.values()} == {"torch.fx"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights", "compute"),
    [("onnx", "folded", "float32"), ("torchscript", "folded", "float32"), ("onnx", "live", "float64")],
)
def test_every_cell_exports(captured: dict[str, ModelGraph], name: str, weights: Weights, compute: Compute) -> None:
    problems = {cell: _problem(graph, name, weights, compute) for cell, graph in captured.items()}
    assert {cell: problem for cell, problem in problems.items() if problem} == {}


def test_the_reference_is_the_module(captured: dict[str, ModelGraph]) -> None:
    """The same file fails against a module that differs in its ε alone."""
    graph = captured["EpsLarge"]
    data = formats.get("onnx").emit(graph, EmitOptions()).to_bytes({})
    other = prepared(CELLS["EpsTiny"](), SourceOptions()).graph
    assert check_bytes(CheckRequest(graph, data, [(CELL_SHAPE,)], "float32", ["onnxruntime-cpu"], FEW)).passed
    assert not check_bytes(CheckRequest(other, data, [(CELL_SHAPE,)], "float32", ["onnxruntime-cpu"], FEW)).passed


IMAGES = [name for name, net in NETS.items() if len(net.shape) == 3]
# These take longest: a deep model, and images twice.
SLOW = ("ResNet", "nested Sequential", "U-Net", "shivamsaboo17 BuildHead, NALU", "shivamsaboo17 BuildHead, NAC")


def _slow_apart(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in names]


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", [name for name in NETS if name not in IMAGES])
def test_what_is_around_a_cell_exports(tmp_path: Path, name: str) -> None:
    net = NETS[name]
    artifact = nalu_export.export(net.build(), tmp_path / "net.onnx", example_inputs=torch.zeros(1, *net.shape))
    assert artifact.report.passed, artifact.report.summary()
    said = [note for note in artifact.report.notes if "the reference is its captured graph in float64" in note]
    assert bool(said) == (not net.float64)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["loop from torch.zeros", "LSTM updated by a cell", "LSTM", "NAC as a convolution"])
def test_what_is_around_a_cell_exports_to_torchscript(tmp_path: Path, name: str) -> None:
    """Tensors of the size of the batch too, which a trace would freeze."""
    net = NETS[name]
    example = torch.zeros(1, *net.shape)
    artifact = nalu_export.export(net.build(), tmp_path / "net.pt", format="torchscript", example_inputs=example)
    assert artifact.report.passed, artifact.report.summary()


@pytest.mark.slow
@pytest.mark.parametrize("name", _slow_apart(IMAGES))
def test_images_export(tmp_path: Path, name: str) -> None:
    net = NETS[name]
    model = net.build()
    # Only a layer of torch says how many channels it takes.
    told = any(isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) for layer in model.modules())
    given: Any = {"input_size": net.shape[1:]} if told else {"example_inputs": torch.zeros(1, *net.shape)}
    artifact = nalu_export.export(model, tmp_path / "net.onnx", **given)
    assert artifact.report.passed, artifact.report.summary()


# torch's own compiler uses what torch has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", WRAPPED)
def test_wrappers_are_taken_off(tmp_path: Path, name: str) -> None:
    artifact = nalu_export.export(WRAPPED[name].build(), tmp_path / "net.onnx")
    assert artifact.report.passed
    assert any("unwrapped" in note for note in artifact.notes)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(tmp_path: Path, name: str) -> None:
    case = REFUSED[name]
    example = None if case.integers or len(case.shapes) > 1 else torch.zeros(1, *case.shapes[0])
    with pytest.raises((InputError, UnsupportedLayerError), match=case.fragment) as caught:
        nalu_export.export(case.build(), tmp_path / "net.onnx", example_inputs=example)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", SEVERAL)
def test_several_inputs_and_outputs_export(tmp_path: Path, name: str) -> None:
    build, inputs, outputs = SEVERAL[name]
    artifact = nalu_export.export(build(), tmp_path / "net.onnx", example_inputs=inputs)
    assert artifact.report.passed, artifact.report.summary()
    assert [port["name"] for port in artifact.metadata["outputs"]] == outputs
    assert len(artifact.metadata["inputs"]) == len(inputs)
    assert nalu_export.check(build(), artifact, samples=16, search=0).passed


@pytest.mark.parametrize("name", _slow_apart(PUBLIC))
def test_public_implementations(tmp_path: Path, name: str) -> None:
    build, shape = PUBLIC[name]
    module = build()
    artifact = nalu_export.export(module, tmp_path / "head.onnx", example_inputs=torch.zeros(1, *shape))
    assert artifact.report.passed, artifact.report.summary()
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    source = f"{Path(build.__code__.co_filename)}:{build.__name__}"
    report = nalu_export.check(
        tmp_path / "weights.pt", artifact, model=source, samples=16, search=0, example_inputs=torch.zeros(1, *shape)
    )
    assert report.passed, report.summary()
    torch.save(module, tmp_path / "module.pt")
    report = nalu_export.check(
        tmp_path / "module.pt", artifact, trust=True, samples=16, search=0, example_inputs=torch.zeros(1, *shape)
    )
    assert report.passed, report.summary()


class Gated(nn.Module):
    """A module whose keys are those of a known layout, with another formula."""

    def __init__(self) -> None:
        super().__init__()
        self.G = nn.Parameter(torch.randn(8, 2))
        self.nac = nn.Module()
        self.nac.W_hat = nn.Parameter(torch.randn(8, 2))
        self.nac.M_hat = nn.Parameter(torch.randn(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.nac.W_hat) * torch.sigmoid(self.nac.M_hat)  # type: ignore[arg-type]
        g = torch.sigmoid(nn.functional.linear(x, self.G))
        product = torch.exp(nn.functional.linear(torch.log(torch.abs(x) + 1e-2), w))
        return g * nn.functional.linear(x, w) + (1 - g) * product


def test_a_trusted_pickle_is_not_read_by_its_keys(tmp_path: Path) -> None:
    """It computes with its own ε, not with that of the public cell whose keys it has."""
    torch.save(Gated(), tmp_path / "cell.pt")
    artifact = nalu_export.export(tmp_path / "cell.pt", tmp_path / "cell.onnx", trust=True)
    module = torch.load(tmp_path / "cell.pt", weights_only=False).double()
    x = np.zeros((1, 2), np.float32)
    from onnxruntime import InferenceSession

    (found,) = InferenceSession(artifact.path).run(None, {"input": x})
    np.testing.assert_allclose(found, module(torch.zeros(1, 2).double()).detach().numpy(), rtol=1e-5)
