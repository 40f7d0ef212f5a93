"""nalu_export.doctor.statistics: layers, weights and gates of a captured model."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, ArithmeticLayer, NACCell, NALUCell
from nalu_export.doctor.statistics import GATE_SAMPLES, layer_table, uniform_inputs, weight_matrices, weight_statistics
from nalu_export.nn import ClampedNALUCell, NACExactCell
from tests.captured import graph_of
from tests.doctor.statistics.rows import COMPUTED, gate, statistics_of, with_weights
from tests.handwritten.cells import CELL_SHAPE, CELLS
from tests.handwritten.nets import NETS


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))


def test_layer_table() -> None:
    model = nn.Sequential(nn.Linear(5, 4), NALU(4, 3, 2, eps=1e-5, gate="row"), nn.Sequential(NACCell(2, 1)))
    cell = {"type": "NALUCell", "eps": 1e-5, "tied": True, "gate": "row", "two_gates": False}
    cell |= {"stored": False, "gate_bias": False, "weights": COMPUTED}
    nac = {"type": "NACCell", "in_features": 2, "out_features": 1, "stored": False, "weights": COMPUTED}
    assert layer_table(graph_of(model)) == [
        {"path": "1.layers.0", "in_features": 4, "out_features": 3, "gates": gate(4)} | cell,
        {"path": "1.layers.1", "in_features": 3, "out_features": 2, "gates": gate(3)} | cell,
        {"path": "2.0"} | nac,
    ]
    assert layer_table(graph_of(NACCell(2, 1))) == [{"path": ""} | nac]
    assert layer_table(graph_of(nn.Linear(2, 1))) == []


def test_layer_table_of_modules_written_by_hand() -> None:
    gated = {"eps": 1e-8, "gates": gate(3)}
    sizes = {"in_features": 3, "out_features": 2}
    assert layer_table(graph_of(CELLS["Nested"]())) == [
        {"path": "", "type": "Nested", "weights": {}} | gated | sizes,
        {"path": "nac", "type": "NestedNac", "weights": COMPUTED} | sizes,
    ]
    (row,) = layer_table(graph_of(CELLS["Turned"]()))
    assert row["weights"] == {"W": "transpose(tanh(W_hat)·sigmoid(M_hat), 0, 1)"}
    assert row["gates"] == [gate(3)[0] | {"constants": {"G": "transpose(G, 0, 1)"}}]
    (row,) = layer_table(graph_of(CELLS["HardGate"]()))
    assert (row["gates"][0]["sum"], row["gates"][0]["product"]) == (
        "gt(linear(x, G), 0.0)",
        "logical_not(gt(linear(x, G), 0.0))",
    )
    (row,) = layer_table(graph_of(CELLS["NumberGate"]()))
    assert row["gates"] == [
        {"sum": "g", "product": "G", "constants": {"g": "sigmoid(G)", "G": "sigmoid(-G)"}}
    ]  # fmt: skip


def test_layer_table_says_what_eps_is_where_it_is_not_added_to_the_magnitude() -> None:
    def told(model: nn.Module) -> tuple[Any, ...]:
        (row,) = layer_table(graph_of(model, CELL_SHAPE))
        return row.get("eps"), row.get("eps_is")

    assert told(CELLS["EpsClamp"]()) == (1e-10, "the lower bound of |x|")
    assert told(CELLS["EpsBuffer"]()) == (1e-10, None)  # as a float32 it is 1.00000001e-10
    assert told(CELLS["EpsInside"]()) == (1e-16, "added to x²")
    assert told(ClampedNALUCell(3, 2)) == (1e-10, "added to max(|x|, 1e-07)")
    assert told(CELLS["SinhProduct"]()) == (None, None)


def test_the_graph_says_what_eps_is_not_the_attribute() -> None:
    class Other(NALUCell):
        def product(self, x: Tensor, W: Tensor) -> Tensor:
            return torch.exp(torch.nn.functional.linear(torch.log(torch.abs(x) + 1e-3), W))

    (row,) = layer_table(graph_of(Other(2, 1, eps=1e-10)))
    assert row["eps"] == 1e-3


def test_a_region_of_a_larger_forward_says_which_it_is() -> None:
    (row,) = layer_table(graph_of(NETS["inline in a CNN"].build()))
    assert (row["path"], row["region"], row["type"]) == ("", "arithmetic", "InlineCnn")


def test_layer_table_is_json_whatever_a_layer_of_the_user_takes() -> None:
    class Own(ArithmeticLayer):
        def __init__(self, base: Tensor, activation: nn.Module, size: int) -> None:
            super().__init__()
            self.base, self.activation, self.size = base, activation, size
            self.weight = nn.Parameter(torch.ones(size))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.weight

    table = layer_table(graph_of(Own(torch.zeros(2), nn.ReLU(), 3), (3,)))
    assert json.loads(json.dumps(table)) == [{"path": "", "type": "Own", "size": 3, "weights": {}}]


def test_weights_near_minus_one_zero_and_one() -> None:
    cell = NACCell(4, 2)
    with_weights(cell, [[1.0, -1.0, 0.0, 0.5], [0.995, -0.995, 0.008, -0.011]])
    (found,) = statistics_of(cell).values()
    shares = {"settled": 6 / 8, "at_-1": 2 / 8, "at_0": 2 / 8, "at_1": 2 / 8}
    assert found == {"W": shares | {"farthest": pytest.approx(0.5, abs=1e-6)}}


@pytest.mark.parametrize(
    ("weight", "farthest"), [(0.5, 0.5), (-0.5, 0.5), (0.75, 0.25), (-0.9, 0.1), (0.3, 0.3), (0.0, 0.0), (1.0, 0.0)]
)
def test_farthest_is_from_the_nearest_of_the_three(weight: float, farthest: float) -> None:
    cell = NACCell(1, 1)
    with_weights(cell, [[weight]])
    assert statistics_of(cell)[""]["W"]["farthest"] == pytest.approx(farthest, abs=1e-6)


def test_an_untied_cell_has_two_weights_and_a_gate() -> None:
    cell = NALUCell(2, 1, tied=False)
    with_weights(cell, [[1.0, 1.0]])
    with_weights(cell, [[0.0, -1.0]], "_mul")
    found = statistics_of(nn.Sequential(cell))["0"]
    assert list(found) == ["W", "W_mul", "gate"]
    assert (found["W"]["at_1"], found["W_mul"]["at_0"], found["W_mul"]["at_-1"]) == (1.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("gates", "add", "multiply"),
    [
        ([[1000.0, 1000.0]], 1.0, 0.0),
        ([[-1000.0, -1000.0]], 0.0, 1.0),
        ([[0.0, 0.0]], 0.0, 0.0),
        ([[1000.0, 1000.0], [-1000.0, -1000.0], [0.0, 0.0], [0.0, 0.0]], 0.25, 0.25),
    ],
)
def test_gate(gates: list[list[float]], add: float, multiply: float) -> None:
    cell = NALUCell(2, len(gates))
    with torch.no_grad():
        cell.G.copy_(torch.tensor(gates))
    assert statistics_of(cell)[""]["gate"] == {"add": add, "multiply": multiply}


@pytest.mark.parametrize(("bias", "add"), [(20.0, 1.0), (-20.0, 0.0), (0.0, 0.0)])
def test_a_gate_of_nothing_but_its_bias(bias: float, add: float) -> None:
    cells = [NALUCell(2, 1, gate_bias=True), CELLS["LinearGate"]()]
    for cell in cells:
        with torch.no_grad():
            for name, parameter in cell.named_parameters():
                if name.lower().startswith("g"):
                    parameter.fill_(bias if "bias" in name else 0.0)
        found = weight_statistics(graph_of(cell))[""]["gate"]
        assert found == {"add": add, "multiply": 1.0 if bias < 0 else 0.0}


def test_a_gate_of_a_number_one_of_a_row_and_two_of_them() -> None:
    number, row, two = NALUCell(2, 3, gate="constant"), NALUCell(2, 3, gate="row"), NALUCell(2, 1, two_gates=True)
    with torch.no_grad():
        number.G.fill_(9.0)
        row.G.fill_(-1000.0)
        two.G.fill_(1000.0)
        two.G_mul.fill_(1000.0)
    assert statistics_of(number)[""]["gate"] == {"add": 1.0, "multiply": 0.0}
    assert statistics_of(row)[""]["gate"] == {"add": 0.0, "multiply": 1.0}
    assert statistics_of(two)[""]["gate"] == {"add": 0.0, "multiply": 0.0}  # open to both
    with torch.no_grad():
        two.G_mul.fill_(-1000.0)
    assert statistics_of(two)[""]["gate"] == {"add": 1.0, "multiply": 0.0}


def test_a_gate_of_something_else_is_open_or_shut() -> None:
    cell = CELLS["Reciprocal"]()
    with torch.no_grad():
        cell.get_parameter("G").fill_(1000.0)
    assert statistics_of(cell)[""]["gate"] == {"open": 0.0, "shut": 1.0}


def test_gate_of_half_the_inputs() -> None:
    """G = (g, −g) opens for x₁ > x₂ and closes for x₁ < x₂, which uniform inputs do half of the time."""
    cell = NALUCell(2, 1)
    with torch.no_grad():
        cell.G.copy_(torch.tensor([[1e6, -1e6]]))
    found = statistics_of(cell)[""]["gate"]
    assert found["add"] + found["multiply"] == pytest.approx(1.0, abs=2 / GATE_SAMPLES)
    assert found["add"] == pytest.approx(0.5, abs=0.06)
    x = uniform_inputs(2, GATE_SAMPLES)
    assert found["add"] == pytest.approx(float((torch.sigmoid(1e6 * (x[:, 0] - x[:, 1])) >= 0.99).double().mean()))


def test_the_gate_of_a_deeper_layer_is_judged_on_inputs_of_its_own() -> None:
    stack = nn.Sequential(NACCell(2, 2), NALUCell(2, 1))
    with torch.no_grad():
        stack.get_parameter("0.W_hat").zero_()
        stack.get_parameter("1.G").fill_(1000.0)
    assert statistics_of(stack)["1"]["gate"] == {"add": 1.0, "multiply": 0.0}


def test_the_same_each_time_and_the_users_random_numbers_untouched() -> None:
    graph = graph_of(NALU(3, 4, 2))
    torch.manual_seed(1)
    first = weight_statistics(graph)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    assert weight_statistics(graph) == first


def test_not_a_number_is_not_settled() -> None:
    cell = NACCell(2, 1)
    with torch.no_grad():
        cell.W_hat[0, 0] = float("nan")
    found = statistics_of(cell)[""]["W"]
    assert found["settled"] <= 0.5
    assert math.isnan(found["farthest"])


def test_layers_without_weights_of_that_kind() -> None:
    class Own(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.G = nn.Parameter(torch.zeros(3))  # not a gate

        def forward(self, x: Tensor) -> Tensor:
            return x + self.G

    assert statistics_of(Own()) == {"": {}}
    assert statistics_of(NACExactCell(2, 3)) == {"": {}}


def test_matrices_are_output_by_input_and_gates_say_that_they_are() -> None:
    for name in ("A", "Turned", "TMethod"):
        (found,) = weight_matrices(graph_of(CELLS[name](), CELL_SHAPE)).values()
        shapes = {kind: matrix.shape for kind, matrix in found.items()}
        gates = {kind for kind in shapes if kind.startswith("gate ")}
        assert len(gates) == 1
        assert {kind.lower() for kind in shapes.keys() - gates} == {"w"}
        assert shapes[next(iter(shapes.keys() - gates))] == (2, 3), name
        assert all(matrix.dtype == np.float32 for matrix in found.values())
