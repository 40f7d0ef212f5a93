"""nalu_export.doctor.statistics: the same of an exported file, from its own words and tensors."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, InputError, NACCell, NALUCell
from nalu_export.doctor.statistics import artifact_statistics, layer_table, weight_statistics
from nalu_export.graph.folding import inference_form
from tests.captured import graph_of
from tests.doctor.statistics.rows import COMPUTED, SHARES, gate, statistics_of, with_weights
from tests.handwritten.cells import CELL_SHAPE, CELLS
from tests.handwritten.nets import NETS


def tensors_of(model: nn.Module, shape: tuple[int, ...] | None, weights: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Tensors as a file names them."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    for subgraph in graph_of(model, shape).subgraphs.values():
        state = inference_form(subgraph.module, weights, "float32").state_dict()
        found |= {subgraph.parameter(name): value.numpy() for name, value in state.items()}
    return found


def assert_near(found: SHARES, expected: SHARES, name: str) -> None:
    assert found.keys() == expected.keys(), name
    for path, layer in expected.items():
        assert found[path].keys() == layer.keys(), name
        for weight, values in layer.items():
            assert found[path][weight] == pytest.approx(values, abs=1e-5, nan_ok=True), (name, weight)


FOREIGN: dict[Any, Any] = {
    "layers": np.ones(3),
    "layers.10.W": np.ones((1, 1)),
    "1e-10:float32": np.array(1e-10, np.float32),
    b"bytes": np.ones(1),
}


@pytest.mark.slow
def test_an_artifact_tells_the_same_as_its_model() -> None:
    """Folded and live, of our layers and of every cell that was written by hand."""
    ours: list[nn.Module] = [NAC(3, 4, 2), NALU(3, 4, 2), NALU(2, 1, tied=False, gate="row"), NACCell(2, 2)]
    ours += [NALUCell(2, 1, stored=True), nn.Sequential(NALUCell(2, 1)), NALUCell(2, 1, gate="constant")]
    ours += [NALU(2, 2, two_gates=True, gate_bias=True)]
    models: list[tuple[str, nn.Module, tuple[int, ...] | None]] = [(type(each).__name__, each, None) for each in ours]
    models += [(name, build(), CELL_SHAPE) for name, build in CELLS.items()]
    for name, model, shape in models:
        graph = graph_of(model, shape)
        expected, layers = weight_statistics(graph), json.loads(json.dumps(layer_table(graph)))
        for mode in ("folded", "live"):
            tensors = FOREIGN | tensors_of(model, shape, mode)
            assert_near(artifact_statistics(layers, tensors, folded=mode == "folded"), expected, f"{name} {mode}")


def test_a_header_has_single_numbers_in_its_formula() -> None:
    graph = graph_of(NALUCell(2, 1, gate="constant"))
    tensors = {"W": np.ones((1, 2), np.float32)}
    assert list(artifact_statistics(layer_table(graph), tensors, folded=True)[""]) == ["W"]


def test_a_module_of_the_file_that_the_model_does_not_have() -> None:
    """A TorchScript archive holds the region as a module."""
    rows = layer_table(graph_of(NETS["inline in a CNN"].build()))
    tensors = {f"arithmetic.{name}": np.ones((2, 4), np.float32) for name in ("W", "G")}
    assert artifact_statistics(rows, tensors, folded=True)[""]["W"]["at_1"] == 1.0


def test_many_layers_are_kept_apart() -> None:
    """``layers.1`` is not a part of ``layers.10``."""
    model = NAC(*[2] * 13)
    with torch.no_grad():
        for index, cell in enumerate(model.layers):
            assert isinstance(cell, NACCell)
            with_weights(cell, [[0.05 * index] * 2] * 2)
    tensors = {name: value.numpy() for name, value in model.state_dict().items()}
    found = artifact_statistics(layer_table(graph_of(model)), tensors, folded=False)
    for index in range(12):
        value = 0.05 * index
        assert found[f"layers.{index}"]["W"]["farthest"] == pytest.approx(min(value, abs(1 - value)), abs=1e-6)


EARLIER = {"path": "layers.0", "type": "NALUCell", "in_features": 2, "out_features": 1, "eps": 1e-10, "tied": True}


@pytest.mark.parametrize("folded", [True, False])
def test_files_of_earlier_releases(folded: bool) -> None:
    """Their layer tables say neither weights nor gates."""
    kinds: list[NALUCell | NACCell] = [NACCell(2, 1), NALUCell(2, 1), NALUCell(2, 1, tied=False, gate="row")]
    kinds += [NALUCell(2, 1, stored=True), *([] if folded else [NALUCell(2, 1, gate="constant")])]
    kinds += [NALUCell(2, 1, two_gates=True, gate_bias=True)]
    for cell in kinds:
        with torch.no_grad():
            for name, parameter in cell.named_parameters():
                parameter.fill_(3.0 if name.startswith("G") else 2.0)
        expected = statistics_of(nn.Sequential(cell))
        tensors = {
            name.replace("0.", "layers.0."): value
            for name, value in tensors_of(nn.Sequential(cell), None, "folded" if folded else "live").items()
        }
        found = artifact_statistics([EARLIER], tensors, folded=folded)
        assert_near(found, {"layers.0": expected["0"]}, str(cell))


def test_an_affine_cell_of_earlier_releases() -> None:
    tensors = {f"layers.0.{name}": np.ones((1, 2), np.float32) for name in ("W", "G", "bias", "G_bias")}
    assert artifact_statistics([EARLIER | {"type": "NACExactCell"}], tensors, folded=True) == {"layers.0": {}}


LAYER = EARLIER | {"weights": COMPUTED, "gates": gate(2)}
STATE = {f"layers.0.{name}": np.ones((1, 2), np.float32) for name in ("W_hat", "M_hat", "G")}
FOLDED = {f"layers.0.{name}": np.ones((1, 2), np.float32) for name in ("W", "G")}
SIZES = "it does not give the sizes of the inputs of a gate"
MISFIT = r"the tensors of its layer 'layers\.0' do not fit its metadata: "


@pytest.mark.parametrize(
    ("layer", "tensors", "text"),
    [
        (LAYER, {}, r"the file has no tensors of its layer 'layers\.0'"),
        (EARLIER, {}, r"the file has no tensors of its layer 'layers\.0'"),
        (EARLIER | {"path": ""}, {"1e-10:float32": np.ones(1)}, r"the file has no tensors of its layer 'NALUCell'"),
        (LAYER | {"path": ""}, {}, r"the file has no tensors of its layer 'NALUCell'"),
        (LAYER | {"path": "a\nb"}, STATE, r"the file has no tensors of its layer 'a\\nb'"),
        (LAYER, {b"layers.0.W_hat": np.ones((1, 2))}, r"the file has no tensors of its layer 'layers\.0'"),
        (LAYER, STATE | {"layers.0.W_hat": np.ones((2, 2), np.float32)}, MISFIT + r"W has shape \(2, 2\); expected .*"),
        (LAYER, STATE | {"layers.0.W_hat": np.array([["a", "b"]])}, MISFIT + ".+"),
        (
            LAYER,
            STATE | {"layers.0.W_hat": np.ones((1, 2), np.int64)},
            MISFIT + "W_hat holds int64; expected floating .+",
        ),
        (LAYER, FOLDED | {"layers.0.W": np.ones((0, 2), np.float32)}, MISFIT + "W is empty"),
        (LAYER, {"layers.0.W": FOLDED["layers.0.W"]}, MISFIT + "the file has no tensor 'G'"),
        (LAYER, {"layers.0.W_hat": STATE["layers.0.W_hat"]}, MISFIT + "the file has no tensor 'M_hat'"),
        (LAYER | {"weights": {"W": "W_hat()"}}, STATE, MISFIT + "a formula calls 'W_hat', which is not a primitive"),
        (LAYER | {"weights": {"W": "sum(W_hat, 7)"}}, STATE, MISFIT + "sum: .+"),
        (LAYER | {"weights": dict.fromkeys(map(str, range(65)), "W_hat")}, STATE, MISFIT + "it lists 65 weights; .*"),
        (LAYER | {"weights": {"M": "W"}}, FOLDED, MISFIT + "the file has no tensor 'M'|.* has no tensors of its .*"),
        (
            LAYER | {"gates": [{"sum": "x", "inputs": {"x": [2**40]}}]},
            FOLDED,
            MISFIT + SIZES,
        ),
        (LAYER | {"gates": [{"sum": "x", "inputs": {"x": [2**20, 9]}}]}, FOLDED, MISFIT + SIZES),
        (LAYER | {"gates": [{"sum": "x", "inputs": {"x": "no"}}]}, FOLDED, MISFIT + SIZES),
        (LAYER | {"gates": [{"sum": "x", "inputs": [1]}]}, FOLDED, MISFIT + SIZES),
        (LAYER | {"gates": [{"sum": "log(y)", "inputs": {}}]}, FOLDED, MISFIT + "the file has no tensor 'y'"),
    ],
)
def test_a_file_that_does_not_fit_its_own_table(layer: dict[str, Any], tensors: dict[Any, Any], text: str) -> None:
    with pytest.raises(InputError, match=f"^(?:{text}); export it again$") as caught:
        artifact_statistics([layer], tensors, folded="layers.0.W" in tensors)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": 5, "gates": "no"},
        {"weights": [], "gates": [5, None, {"sum": 3}, {"sum": None}, {}]},
        {"weights": {"W": None}},
        {"weights": {"W": 7}, "gates": {}},
        {"weights": COMPUTED, "gates": [gate(2)[0] | {"constants": 5, "\x1b": "x"}]},
        {"weights": {"W[0:1]": "W_hat"}, "gates": []},
        {"weights": COMPUTED, "region": 5},
    ],
    ids=str,
)
def test_a_table_that_says_other_things_is_read_as_far_as_it_goes(changes: dict[str, Any]) -> None:
    for tensors in (STATE, FOLDED):
        artifact_statistics([EARLIER | changes], tensors, folded=tensors is FOLDED)


def test_too_many_layers_and_one_twice() -> None:
    with pytest.raises(InputError, match=r"^its metadata lists 1,001 layers; at most 1,000 are shown$"):
        artifact_statistics([LAYER] * 1001, STATE, folded=False)
    with pytest.raises(InputError, match=r"^its metadata lists the layer 'layers\.0' twice; export it again$"):
        artifact_statistics([LAYER] * 2, STATE, folded=False)


def test_a_live_file_that_does_not_tell_a_weight_leaves_it_out() -> None:
    rows = [EARLIER | {"weights": {"W": None, "V": "W_hat"}, "gates": [{"sum": None, "product": "sigmoid(x)"}]}]
    assert list(artifact_statistics(rows, STATE, folded=False)["layers.0"]) == ["V"]
