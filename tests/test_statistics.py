import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, ArithmeticLayer, InputError, NACCell, NALUCell
from nalu_export.statistics import GATE_SAMPLES, artifact_statistics, layer_table, weight_statistics


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))


def with_weights(cell: NACCell | NALUCell, weights: list[list[float]], suffix: str = "") -> None:
    """Raw parameters that give these effective weights, to float32."""
    W = torch.tensor(weights, dtype=torch.float64)
    with torch.no_grad():
        getattr(cell, f"W_hat{suffix}").copy_(torch.atanh(W.clamp(-1 + 1e-12, 1 - 1e-12)))
        getattr(cell, f"M_hat{suffix}").fill_(50.0)


def test_layer_table() -> None:
    model = nn.Sequential(nn.Linear(5, 4), NALU(4, 3, 2, eps=1e-5, gate="row"), nn.Sequential(NACCell(2, 1)))
    cell = {"type": "NALUCell", "eps": 1e-5, "tied": True, "gate": "row", "two_gates": False}
    cell |= {"stored": False, "gate_bias": False}
    assert layer_table(model) == [
        {"path": "1.layers.0", "in_features": 4, "out_features": 3} | cell,
        {"path": "1.layers.1", "in_features": 3, "out_features": 2} | cell,
        {"path": "2.0", "type": "NACCell", "in_features": 2, "out_features": 1, "stored": False},
    ]
    assert layer_table(NACCell(2, 1)) == [
        {"path": "", "type": "NACCell", "in_features": 2, "out_features": 1, "stored": False}
    ]
    assert layer_table(nn.Linear(2, 1)) == []


def test_layer_table_is_json_whatever_a_layer_of_the_user_takes() -> None:
    class Own(ArithmeticLayer):
        def __init__(self, base: Tensor, activation: nn.Module, size: int) -> None:
            super().__init__()
            self.base, self.activation, self.size = base, activation, size
            self.weight = nn.Parameter(torch.ones(size))

    table = layer_table(Own(torch.zeros(2), nn.ReLU(), 3))
    assert json.loads(json.dumps(table)) == [{"path": "", "type": "Own", "size": 3}]


def test_weights_near_minus_one_zero_and_one() -> None:
    cell = NACCell(4, 2)
    with_weights(cell, [[1.0, -1.0, 0.0, 0.5], [0.995, -0.995, 0.008, -0.011]])
    (found,) = weight_statistics(cell).values()
    assert found == {
        "W": {
            "settled": 6 / 8,
            "at_-1": 2 / 8,
            "at_0": 2 / 8,
            "at_1": 2 / 8,
            "farthest": pytest.approx(0.5, abs=1e-6),
        }
    }


@pytest.mark.parametrize(
    ("weight", "farthest"), [(0.5, 0.5), (-0.5, 0.5), (0.75, 0.25), (-0.9, 0.1), (0.3, 0.3), (0.0, 0.0), (1.0, 0.0)]
)
def test_farthest_is_from_the_nearest_of_the_three(weight: float, farthest: float) -> None:
    cell = NACCell(1, 1)
    with_weights(cell, [[weight]])
    assert weight_statistics(cell)[""]["W"]["farthest"] == pytest.approx(farthest, abs=1e-6)


def test_an_untied_cell_has_two_weights_and_a_gate() -> None:
    cell = NALUCell(2, 1, tied=False)
    with_weights(cell, [[1.0, 1.0]])
    with_weights(cell, [[0.0, -1.0]], "_mul")
    found = weight_statistics(nn.Sequential(cell))["0"]
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
    assert weight_statistics(cell)[""]["gate"] == {"add": add, "multiply": multiply}


def test_gate_of_half_the_inputs() -> None:
    """G = (g, −g) opens for x₁ > x₂ and closes for x₁ < x₂, which uniform inputs do half of the time."""
    cell = NALUCell(2, 1)
    with torch.no_grad():
        cell.G.copy_(torch.tensor([[1e6, -1e6]]))
    gate = weight_statistics(cell)[""]["gate"]
    assert gate["add"] + gate["multiply"] == pytest.approx(1.0, abs=2 / GATE_SAMPLES)
    assert gate["add"] == pytest.approx(0.5, abs=0.06)


def test_the_same_each_time_and_the_users_random_numbers_untouched() -> None:
    model = NALU(3, 4, 2)
    torch.manual_seed(1)
    first = weight_statistics(model)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    assert weight_statistics(model) == first


def test_not_a_number_is_not_settled() -> None:
    cell = NACCell(2, 1)
    with torch.no_grad():
        cell.W_hat[0, 0] = float("nan")
    found = weight_statistics(cell)[""]["W"]
    assert found["settled"] <= 0.5
    assert math.isnan(found["farthest"])


def test_a_layer_of_the_user_without_weights_of_that_kind() -> None:
    class Own(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.G = nn.Parameter(torch.zeros(3))  # not a gate matrix

        def forward(self, x: Tensor) -> Tensor:
            return x + self.G

    assert weight_statistics(Own()) == {"": {}}


def arrays(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def folded(model: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Tensors as a folded file names them."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for path, layer in model.named_modules():
        if isinstance(layer, (NACCell, NALUCell)):
            prefix = f"{path}." if path else ""
            found |= {f"{prefix}{name}": W.detach().numpy() for name, W in layer.effective_weights().items()}
            if isinstance(layer, NALUCell):
                found[f"{prefix}G"] = layer.G.detach().numpy()
    return found


@pytest.mark.parametrize(
    "model",
    [NAC(3, 4, 2), NALU(3, 4, 2), NALU(2, 1, tied=False, gate="row"), NACCell(2, 2), nn.Sequential(NALUCell(2, 1))],
    ids=lambda model: type(model).__name__,
)
def test_an_artifact_tells_the_same_as_its_model(model: nn.Module) -> None:
    expected, layers = weight_statistics(model), layer_table(model)
    assert artifact_statistics(layers, arrays(model), folded=False) == expected
    assert artifact_statistics(layers, folded(model), folded=True) == expected
    foreign: dict[str, Any] = {
        "layers": np.ones(3),
        "layers.10.W": np.ones((1, 1)),
        "1e-10:float32": np.array(1e-10, np.float32),
    }
    assert artifact_statistics(layers, foreign | folded(model), folded=True) == expected


def test_many_layers_are_kept_apart() -> None:
    """``layers.1`` is not a part of ``layers.10``."""
    model = NAC(*[2] * 13)
    with torch.no_grad():
        for index, cell in enumerate(model.layers):
            assert isinstance(cell, NACCell)
            with_weights(cell, [[0.05 * index] * 2] * 2)
    found = artifact_statistics(layer_table(model), arrays(model), folded=False)
    for index in range(12):
        value = 0.05 * index
        assert found[f"layers.{index}"]["W"]["farthest"] == pytest.approx(min(value, abs(1 - value)), abs=1e-6)


LAYER = {"path": "layers.0", "type": "NACCell", "in_features": 2, "out_features": 1, "stored": False}
STATE = {"layers.0.W_hat": np.ones((1, 2), np.float32), "layers.0.M_hat": np.ones((1, 2), np.float32)}


@pytest.mark.parametrize(
    ("layer", "tensors", "text"),
    [
        (LAYER, {}, r"the file has no tensors of its layer 'layers\.0'"),
        (LAYER | {"path": ""}, {}, r"the file has no tensors of its layer 'NACCell'"),
        (LAYER | {"path": ""}, STATE, r"the file has no tensors of its layer 'NACCell'"),
        (LAYER | {"path": "a\nb"}, STATE, r"the file has no tensors of its layer 'a\\nb'"),
        (LAYER, {b"layers.0.W_hat": np.ones((1, 2))}, r"the file has no tensors of its layer 'layers\.0'"),
        (
            LAYER,
            STATE | {"layers.0.W_hat": np.ones((2, 2), np.float32)},
            r"the tensors of its layer 'layers\.0' do not fit it: W_hat has shape \(2, 2\), not \(1, 2\)",
        ),
        (
            LAYER,
            STATE | {"layers.0.W_hat": np.array([["a", "b"]])},
            r"the tensors of its layer 'layers\.0' do not fit it: .+",
        ),
        (
            LAYER,
            {"layers.0.W": np.ones((0, 2), np.float32)},
            r"the tensors of its layer 'layers\.0' do not fit it: W has shape \(0, 2\), not \(1, 2\)",
        ),
        (
            LAYER,
            {"layers.0.W_hat": np.ones((1, 2), np.float32)},
            r"the tensors of its layer 'layers\.0' do not fit it: .+",
        ),
        (LAYER | {"type": "Unknown"}, STATE, r"its model description names the layer 'Unknown', which is not known.*"),
        (
            {"path": "layers.0", "type": "Linear", "in_features": 2, "out_features": 1},
            STATE,
            r"its layer 'layers\.0' is a Linear, which is not arithmetic",
        ),
        (LAYER | {"in_features": 0}, STATE, r"its model description: NACCell: in_features is 0; .*"),
        (LAYER | {"device": "cpu"}, STATE, r"its model description gives NACCell the argument 'device', .*"),
        (
            LAYER | {"in_features": 10**8, "out_features": 10**8},
            STATE,
            r"the tensors of its layer .* do not fit it: \w_hat has shape \(1, 2\), not \(100000000, 100000000\)",
        ),
    ],
)
def test_a_file_that_does_not_fit_its_own_table(layer: dict[str, Any], tensors: dict[Any, Any], text: str) -> None:
    with pytest.raises(InputError, match=f"^{text}$") as caught:
        artifact_statistics([layer], tensors, folded="layers.0.W" in tensors)
    assert "\n" not in str(caught.value)


def test_a_folded_weight_with_the_name_of_a_raw_parameter_is_not_folded_again() -> None:
    class Squashed(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.full((1, 1), 2.0))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.linear(x, torch.tanh(self.w))

        def effective_weights(self) -> dict[str, Tensor]:
            return {"w": torch.tanh(self.w)}

    layer = Squashed()
    expected, layers = weight_statistics(layer), layer_table(layer)
    raw, held = np.full((1, 1), 2.0, np.float32), np.tanh(np.full((1, 1), 2.0, np.float32))
    assert artifact_statistics(layers, {"w": raw}, folded=False) == expected
    assert artifact_statistics(layers, {"w": held}, folded=True)[""]["w"]["farthest"] == pytest.approx(
        expected[""]["w"]["farthest"]
    )
