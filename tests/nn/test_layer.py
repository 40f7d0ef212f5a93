"""What every layer of the package must do, whatever its formula is."""

import ast
import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nalu_export.nn
from nalu_export import NAC, NALU, ArithmeticLayer, NACCell, NALUCell
from nalu_export.modules import jit
from nalu_export.nn import ClampedNALUCell, LoglessNALUCell, NACExactCell, SignedNALUCell, SinhNALUCell
from nalu_export.nn.layer import constructor_arguments
from tests.captured import primitives_of

IN = 4


def small(layer: ArithmeticLayer) -> ArithmeticLayer:
    """Stored weights are not bounded: ε to the power of a large negative one is infinite."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.abs_().clamp_(max=0.5)
    return layer


LAYERS: dict[str, Callable[[], ArithmeticLayer]] = {
    "NACCell": lambda: NACCell(IN, 3),
    "NALUCell": lambda: NALUCell(IN, 3),
    "NALUCell untied": lambda: NALUCell(IN, 3, tied=False),
    "NALUCell row": lambda: NALUCell(IN, 3, gate="row"),
    "NALUCell untied row": lambda: NALUCell(IN, 3, eps=1e-5, tied=False, gate="row"),
    "NALUCell constant gate": lambda: NALUCell(IN, 3, gate="constant"),
    "NALUCell two gates with bias": lambda: NALUCell(IN, 3, two_gates=True, gate_bias=True),
    "NALUCell untied two gates": lambda: NALUCell(IN, 3, tied=False, two_gates=True),
    "NALUCell gate bias": lambda: NALUCell(IN, 3, gate_bias=True),
    "NACCell stored": lambda: NACCell(IN, 3, stored=True),
    "NALUCell stored": lambda: small(NALUCell(IN, 3, stored=True)),
    "NALUCell stored untied": lambda: small(NALUCell(IN, 3, stored=True, tied=False)),
    "ClampedNALUCell": lambda: ClampedNALUCell(IN, 3),
    "ClampedNALUCell without bias": lambda: ClampedNALUCell(IN, 3, gate_bias=False),
    "SinhNALUCell": lambda: SinhNALUCell(IN, 3),
    "SinhNALUCell stored": lambda: SinhNALUCell(IN, 3, stored=True),
    "SignedNALUCell": lambda: SignedNALUCell(IN, 3),
    "SignedNALUCell matrix": lambda: SignedNALUCell(IN, 3, gate="matrix"),
    "LoglessNALUCell": lambda: LoglessNALUCell(IN, 3),
    "NACExactCell": lambda: NACExactCell(IN, 3),
    "NAC": lambda: NAC(IN, 5, 3),
    "NAC stored": lambda: NAC(IN, 5, 3, stored=True),
    "NALU two gates": lambda: NALU(IN, 5, 3, tied=False, two_gates=True, gate_bias=True),
    "NALU": lambda: NALU(IN, 5, 3),
    "NALU untied row": lambda: NALU(IN, 5, 3, tied=False, gate="row"),
}


PLAIN = {"stored": False, "gate_bias": False, "two_gates": False}


@pytest.fixture(params=LAYERS)
def layer(request: pytest.FixtureRequest) -> ArithmeticLayer:
    return LAYERS[request.param]()


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, type[ArithmeticLayer]]:
    """Classes that a test defines are gone after it."""
    registry = dict(ArithmeticLayer.registry)
    monkeypatch.setattr(ArithmeticLayer, "registry", registry)
    return registry


def some_inputs(*shape: int) -> Tensor:
    x = torch.randn(*shape, IN) * 2
    x.reshape(-1, IN)[::3] = 0.0
    return x


def test_every_layer_has_a_case() -> None:
    public = {getattr(nalu_export.nn, name) for name in nalu_export.nn.__all__}
    layers = {kind for kind in public if isinstance(kind, type) and issubclass(kind, ArithmeticLayer)}
    assert {type(make()) for make in LAYERS.values()} == layers - {ArithmeticLayer}


def test_scripts(layer: ArithmeticLayer) -> None:
    with jit.quiet():
        scripted = torch.jit.script(layer)
    for shape in ((5,), (0,), (2, 3)):
        x = some_inputs(*shape)
        torch.testing.assert_close(scripted(x), layer(x))


def test_traces_at_every_batch_size(layer: ArithmeticLayer) -> None:
    traced = jit.trace(layer, (some_inputs(2),))
    for batch in (0, 1, 7):
        x = some_inputs(batch)
        torch.testing.assert_close(traced(x), layer(x))


def test_its_captured_graph_is_the_layer(layer: ArithmeticLayer) -> None:
    graph = primitives_of(layer)
    x = some_inputs(6)
    assert torch.equal(graph(x), layer(x))
    assert {name for name, _ in graph.named_parameters()} == set(layer.state_dict())


def test_double(layer: ArithmeticLayer) -> None:
    x = some_inputs(6)
    single = layer(x)
    double = layer.double()(x.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-4)


def test_deepcopy_shares_nothing(layer: ArithmeticLayer) -> None:
    copied = copy.deepcopy(layer)
    x = some_inputs(6)
    before = layer(x)
    assert torch.equal(copied(x), before)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.add_(1.0)
    assert torch.equal(layer(x), before)
    assert not torch.equal(copied(x), before)


def test_pickles(layer: ArithmeticLayer) -> None:
    x = some_inputs(6)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), layer(x))


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3), (2, 0, 3), (2, 1, 2, 2)])
def test_leading_dimensions(layer: ArithmeticLayer, shape: tuple[int, ...]) -> None:
    x = some_inputs(*shape)
    found = layer(x)
    assert found.shape == (*shape, 3)
    flat = layer(x.reshape(-1, IN))
    torch.testing.assert_close(found.reshape(-1, 3), flat)


@pytest.mark.parametrize("eps", [1e-30, 1e-12, 1e-10, 1.0])
@pytest.mark.parametrize("value", ["zeros", "some zeros", "negative zero"])
def test_gradients_are_finite_at_exact_zeros(value: str, eps: float) -> None:
    x = {"zeros": torch.zeros(3, IN), "some zeros": some_inputs(4), "negative zero": -torch.zeros(3, IN)}[value]
    for tied in (True, False):
        model = NALU(IN, 5, 3, eps=eps, tied=tied)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "W_hat" in name:
                    parameter.abs_()  # ε to a negative power is what float32 may not hold, not the gradient
        x = x.detach().clone().requires_grad_()
        model(x).sum().backward()
        for name, tensor in [("x", x), *model.named_parameters()]:
            assert tensor.grad is not None, name
            assert torch.isfinite(tensor.grad).all(), name


def test_every_parameter_gets_a_gradient(layer: ArithmeticLayer) -> None:
    layer(some_inputs(8)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_the_weight_is_computed_in_each_forward(layer: ArithmeticLayer) -> None:
    """A stored W would go on computing what the raw parameters were once."""
    x = torch.rand(6, IN) + 0.5
    for name, parameter in layer.named_parameters():
        before = layer(x)
        with torch.no_grad():
            parameter.add_(0.5)
        assert not torch.allclose(layer(x), before), f"{name} plays no part"


def test_forward_does_not_depend_on_the_mode(layer: ArithmeticLayer) -> None:
    x = some_inputs(5)
    assert torch.equal(layer.train()(x), layer.eval()(x))


def test_the_caller_keeps_the_input(layer: ArithmeticLayer) -> None:
    x = some_inputs(5)
    before = x.clone()
    layer(x)
    assert torch.equal(x, before)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda(layer: ArithmeticLayer) -> None:
    x = some_inputs(64)
    expected = copy.deepcopy(layer).double()(x.double())
    found = layer.cuda()(x.cuda())
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu().double(), expected, rtol=1e-4, atol=1e-4)
    with jit.quiet():
        scripted = torch.jit.script(layer)
    torch.testing.assert_close(scripted(x.cuda()), found)


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (NACCell(2, 3), {"in_features": 2, "out_features": 3, "stored": False}),
        (
            NALUCell(2, 3, 1e-5, False, "row"),
            {"in_features": 2, "out_features": 3, "eps": 1e-5, "tied": False, "gate": "row"} | PLAIN,
        ),
        (NAC(2, 3, 1), {"dims": (2, 3, 1), "stored": False}),
        (NALU(2, 1), {"dims": (2, 1), "eps": 1e-10, "tied": True, "gate": "matrix"} | PLAIN),
        (
            ClampedNALUCell(2, 3),
            {"in_features": 2, "out_features": 3, "eps": 1e-10, "floor": 1e-7, "limit": 20.0, "gate_bias": True},
        ),
        (SinhNALUCell(2, 3, stored=True), {"in_features": 2, "out_features": 3, "stored": True}),
        (nn.Linear(2, 3), {"in_features": 2, "out_features": 3}),
        (nn.Linear(2, 3, bias=False), {"in_features": 2, "out_features": 3, "bias": False}),
        (nn.Dropout(0.25), {"p": 0.25}),
        (nn.ReLU(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_constructor_arguments(module: nn.Module, expected: dict[str, Any]) -> None:
    assert constructor_arguments(module) == expected


def test_a_layer_of_the_user_joins_the_registry(own_registry: dict[str, type[ArithmeticLayer]]) -> None:
    class Doubling(ArithmeticLayer):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2.0

    assert own_registry["Doubling"] is Doubling

    first = Doubling

    class Doubling(ArithmeticLayer):  # type: ignore[no-redef]  # a notebook cell that is run again
        pass

    assert own_registry["Doubling"] is not first


def test_a_class_of_the_user_does_not_take_a_name_of_the_package(
    own_registry: dict[str, type[ArithmeticLayer]],
) -> None:
    type("NALUCell", (ArithmeticLayer,), {"__module__": "elsewhere"})
    assert own_registry["NALUCell"] is NALUCell


def test_layers_import_nothing_from_above() -> None:
    """The layers are what everything else is read off; only the errors are below them."""
    allowed = ("nalu_export.nn", "nalu_export.errors")
    for file in Path(nalu_export.nn.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith("nalu_export") or name.startswith(allowed), f"{file.name} imports {name}"
