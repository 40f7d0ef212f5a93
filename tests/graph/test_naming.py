"""nalu_export.graph.naming: values are called what the source calls them, once each, in every file alike."""

import linecache
from typing import Any

import onnx
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export import NAC, NALU, ArithmeticLayer, BackboneHead, NACCell, NALUCell, formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import formula_of, label_of, part_of, well_conditioned
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights, fold
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from tests.captured import graph_of, primitives_of

# Every format with each of the modes that it holds.
FORMS = [(name, weights) for name in formats.names() for weights in formats.get(name).weights]


def _labels(graph_module: fx.GraphModule) -> list[str]:
    return [name for node in graph_module.graph.nodes if (name := label_of(node))]


def _formulas(graph_module: fx.GraphModule) -> dict[str, str]:
    return {name: formula_of(node) for node in graph_module.graph.nodes if (name := label_of(node))}


CELL = ["tanh", "sigmoid", "W", "a", "abs", "add", "log", "linear", "m", "z", "g", "neg", "h", "mul", "mul_2", "y"]


def test_a_cell_is_called_as_in_its_source() -> None:
    assert _labels(primitives_of(NALUCell(3, 2))) == CELL


def test_a_stack_puts_the_path_of_the_layer_before_it(nalu: NALU) -> None:
    assert _labels(primitives_of(nalu)) == [f"layers.{layer}.{name}" for layer in (0, 1) for name in CELL]
    assert _labels(primitives_of(NAC(2, 2, 1))) == [
        f"layers.{layer}.{name}" for layer in (0, 1) for name in ("tanh", "sigmoid", "W", "y")
    ]


def test_a_helper_counts_to_the_statement_that_calls_it() -> None:
    found = _formulas(primitives_of(NALUCell(3, 2, tied=False)))
    assert {name: found[name] for name in ("W", "W_mul", "m", "h", "y")} == {
        "W": "mul(tanh, sigmoid)",
        "W_mul": "mul(tanh_2, sigmoid_2)",
        "m": "exp(linear)",
        "h": "sigmoid(neg)",
        "y": "add(mul, mul_2)",
    }
    assert found["add"] == "add(abs, 1e-10)"
    assert found["linear"] == "linear(log, W_mul)"
    assert found["z"] == "linear(x, G)"


def test_names_are_the_same_alone_and_in_a_model(image_model: BackboneHead) -> None:
    graph = graph_of(image_model, (1, 8, 8))
    alone = _labels(primitives_of(image_model.head))
    assert _labels(graph.flat) == [f"head.{name}" for name in alone]
    assert _labels(graph.subgraphs["head"].module) == alone
    computing = [node for node in graph.flat.graph.nodes if part_of(node) is not None]
    assert {part_of(node) for node in computing} == {"head"}
    # What depends on parameters alone is named after the subgraph that reads it, and is in none.
    assert {label_of(node) for node in computing} == {f"head.{name}" for name in alone} - {
        f"head.layers.0.{name}" for name in ("tanh", "sigmoid", "W")
    }


def test_nodes_are_named_after_their_labels(nalu: NALU, nac: NAC) -> None:
    for model in (nalu, nac, NALUCell(3, 2), NACCell(2, 2), _Everything()):
        for node in primitives_of(model).graph.nodes:
            if (name := label_of(node)) is not None and name != "abs":  # which is a function of Python
                assert node.name == name.replace(".", "_")


def test_a_rewrite_has_no_label_and_keeps_the_others(nalu: NALU) -> None:
    kept = _labels(well_conditioned(primitives_of(nalu)))
    assert set(kept) < set(_labels(primitives_of(nalu)))
    assert {"layers.0.a", "layers.0.m", "layers.0.y", "layers.1.z"} <= set(kept)
    assert "layers.0.g" not in kept


class _Everything(ArithmeticLayer):
    """Every kind of statement."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        long = torch.exp(
            torch.tanh(x)
            * self.w
        )  # fmt: skip
        typed: Tensor = torch.neg(long)
        typed += 1.0
        one, two = torch.abs(typed), torch.tanh(typed)
        long = one + two
        if self.training:
            long = long * 2.0
        if (walrus := torch.cos(long)) is not None:
            long = walrus
        return (
            long
            + two
        )  # fmt: skip


def test_statements_of_every_kind() -> None:
    layer = _Everything().eval()
    found = _formulas(primitives_of(layer))
    assert found == {
        "tanh": "tanh(x)",
        "mul": "mul(tanh, w)",
        "long": "exp(mul)",
        "typed": "neg(long)",
        "typed_2": "add(typed, 1.0)",
        "abs": "abs(typed_2)",
        "tanh_2": "tanh(typed_2)",
        "long_2": "add(abs, tanh_2)",
        "cos": "cos(long_2)",
        "y": "add(cos, tanh_2)",
    }
    assert "long_3" in _formulas(primitives_of(layer.train(), (3,)))


def test_a_loop_numbers_what_it_repeats() -> None:
    class Powers(ArithmeticLayer):
        def forward(self, x: Tensor) -> Tensor:
            total = x
            for _ in range(3):
                total = total * x
            return total

    assert _labels(primitives_of(Powers(), (3,))) == ["mul", "mul_2", "total"]


def test_a_layer_that_is_called_twice_has_two_sets_of_names() -> None:
    class Twice(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.cell = NACCell(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            first: Tensor = self.cell(x)
            second: Tensor = self.cell(first)
            return second

    labels = _labels(primitives_of(Twice()))
    assert [name for name in labels if ".y" in name] == ["cell.y", "cell.y_2"]
    assert len(set(labels)) == len(labels)


def _executed(source: str) -> ArithmeticLayer:
    space: dict[str, Any] = {"ArithmeticLayer": ArithmeticLayer, "torch": torch, "F": F}
    exec(compile(source, "<nowhere>", "exec"), space)
    layer: ArithmeticLayer = space["Layer"]()
    return layer


SOURCE = """
class Layer(ArithmeticLayer):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(3))

    def forward(self, x):
        first = torch.exp(-torch.abs(x)) * self.w
        second = torch.exp(-first)
        return first + torch.exp(-second)
"""


@pytest.mark.slow
def test_a_layer_without_source_still_traces_and_is_named_by_primitives() -> None:
    linecache.clearcache()
    layer = _executed(SOURCE)
    assert _labels(primitives_of(layer)) == ["abs", "neg", "exp", "mul", "neg_2", "exp_2", "neg_3", "exp_3", "add"]
    for name, weights in FORMS:
        _passes(layer, (3,), name, weights, "float32")


# Names that meet --------------------------------------------------------------------------------------------------


class _Shadows(ArithmeticLayer):
    """Variables with the names of parameters, of folded constants, of the edges of a part, and in lower case."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(3, 3))
        self.G_hat = nn.Parameter(torch.randn(3, 3))
        self.V = nn.Parameter(torch.randn(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        W = torch.tanh(self.W)
        W = W * torch.sigmoid(self.W)
        V = torch.tanh(self.V)
        v = V * 0.5
        x = torch.abs(x)
        input = torch.log(x + 1.0)  # noqa: A001
        G = torch.sigmoid(F.linear(x, self.G_hat))
        output = F.linear(input, W)
        y = output * G
        return y + F.linear(x, v)


class _Behind(nn.Module):
    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.first = nn.BatchNorm1d(3)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(self.first(x))
        return found


def _passes(model: nn.Module, shape: tuple[int, ...], name: str, weights: Weights, compute: Compute) -> bytes:
    """Where two values had one name, the check would compare them with each other."""
    kind = formats.get(name)
    graph = graph_of(model, shape)
    graph = graph.isolated(kind.scope(graph, None))
    data = kind.emit(graph, EmitOptions(weights, compute)).to_bytes({})
    names = [kind.runtime, "torch"]
    report = check_bytes(CheckRequest(graph, data, [(shape,)], compute, names, CheckOptions(samples=16, search=0)))
    assert report.passed, report.summary()
    assert "intermediate values" in {row.distribution for row in report.rows}
    return data


@pytest.mark.quick(1)
@pytest.mark.parametrize(("name", "weights"), FORMS)
@pytest.mark.parametrize("compute", COMPUTE)
@pytest.mark.parametrize("behind", [False, True])
def test_names_that_meet_are_told_apart(name: str, weights: Weights, compute: Compute, behind: bool) -> None:
    model = (_Behind(_Shadows()) if behind else _Shadows()).eval()
    data = _passes(model, (3,), name, weights, compute)
    if name == "onnx":
        graph = onnx.load_from_string(data).graph
        given = [*(value for node in graph.node for value in node.output), *(t.name for t in graph.initializer)]
        assert len(set(given)) == len(given)
        path = "head." if behind else ""
        assert {f"{path}{value}" for value in ("x_2", "linear", "y_2")} <= set(given)


def test_a_folded_constant_never_has_the_name_of_something_else() -> None:
    graph = fold(primitives_of(_Shadows()).double())
    constants = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    assert constants == {"W_3", "v", "G_hat"}
    assert not constants & set(_labels(graph))
    names = fold(primitives_of(NALU(2, 2, 1, tied=False)).double()).graph.nodes
    assert {str(node.target) for node in names if node.op == "get_attr"} == {
        f"layers.{layer}.{name}" for layer in (0, 1) for name in ("W", "W_mul", "G")
    }


@pytest.mark.quick(1)
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("compute", COMPUTE)
def test_the_edges_of_a_head_have_names_in_the_file(
    image_model: BackboneHead, weights: Weights, compute: Compute
) -> None:
    data = formats.get("onnx").emit(graph_of(image_model, (1, 8, 8)), EmitOptions(weights, compute)).to_bytes({})
    graph = onnx.load_from_string(data).graph
    given = [value for node in graph.node for value in node.output]
    assert len(set(given)) == len(given)
    assert {"head.x", "head.y", "head.layers.0.a", "head.layers.0.m", "head.layers.0.z"} <= set(given)
    (first,) = [node for node in graph.node if "head.layers.0.abs" in node.output]
    assert given.index("head.x") < given.index(first.output[0])
    if compute == "float32":
        assert list(first.input) == ["head.x"]
    reader = next(node for node in graph.node if "head.y" in node.input)
    assert not reader.output[0].startswith("head.layers")
