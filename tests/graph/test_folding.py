"""nalu_export.graph.folding: folded and live forms, in float32 and float64."""

import itertools

import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell
from nalu_export.graph import primitive_of
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights, fold
from nalu_export.modules.copying import copied
from tests.captured import form_of, graph_of, primitives_of


@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
def test_every_form_is_float32_at_its_edges_and_computes_the_model(
    nalu: NALU, weights: Weights, compute: Compute
) -> None:
    x = torch.rand(64, 4) * 10 - 5
    y = form_of(nalu, weights, compute)(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y.double(), nalu.double()(x.double()), rtol=1e-5, atol=1e-6)


def test_folded_weights_are_computed_in_float64_and_rounded_once() -> None:
    cell = NALUCell(3, 2, tied=False)
    form = form_of(cell, "folded", "float32")
    exact = torch.tanh(cell.W_hat.double()) * torch.sigmoid(cell.M_hat.double())
    exact_mul = torch.tanh(cell.W_hat_mul.double()) * torch.sigmoid(cell.M_hat_mul.double())
    state = form.state_dict()
    assert set(state) == {"W", "W_mul", "G"}
    assert torch.equal(state["W"], exact.float())
    assert torch.equal(state["W_mul"], exact_mul.float())
    assert torch.equal(state["G"], cell.G.detach())


def test_folded_float64_keeps_every_digit() -> None:
    cell = NALUCell(3, 2)
    weight = form_of(cell, "folded", "float64").state_dict()["W"]
    assert torch.equal(weight, torch.tanh(cell.W_hat.double()) * torch.sigmoid(cell.M_hat.double()))


@pytest.mark.parametrize("size", [1, 64, 130])
def test_no_raw_parameter_is_left_at_any_size(size: int) -> None:
    names = form_of(NALU(size, size, 1), "folded", "float32").state_dict()
    assert not [name for name in names if "hat" in name]


def test_live_keeps_the_parameters_and_computes_weights_as_folding_does(nalu: NALU) -> None:
    live = form_of(nalu, "live", "float32")
    assert {name: value.tolist() for name, value in live.state_dict().items()} == {
        name: value.tolist() for name, value in nalu.state_dict().items()
    }
    x = torch.rand(64, 4) * 10
    assert torch.equal(live(x), form_of(nalu, "folded", "float32")(x))


def test_live_parameters_are_read_each_time(nalu: NALU) -> None:
    live = form_of(nalu, "live", "float32")
    x = torch.rand(3, 4)
    before = live(x)
    with torch.no_grad():
        live.get_parameter("layers.0.W_hat").add_(0.5)
        nalu.get_parameter("layers.0.W_hat").add_(0.5)
    assert not torch.equal(live(x), before)
    torch.testing.assert_close(live(x), nalu(x))


def test_the_model_is_not_changed(nalu: NALU) -> None:
    before = {name: value.clone() for name, value in nalu.state_dict().items()}
    for weights, compute in itertools.product(WEIGHTS, COMPUTE):
        form_of(nalu, weights, compute)
    assert nalu.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in nalu.state_dict().items())
    assert all(parameter.requires_grad for parameter in nalu.parameters())


def test_tied_weights_are_computed_and_held_once(nalu: NALU) -> None:
    form = form_of(nalu, "folded", "float32")
    assert set(form.state_dict()) == {f"layers.{k}.{name}" for k in (0, 1) for name in ("W", "G")}
    live = form_of(nalu, "live", "float32")
    primitives = [p.name for p in map(primitive_of, live.graph.nodes) if p is not None]
    assert primitives.count("tanh") == 2


def test_folding_leaves_opaque_modules_alone(image_model: BackboneHead) -> None:
    folded = fold(copied(graph_of(image_model).flat))
    assert "backbone.0.weight" in folded.state_dict()
    assert "head.layers.0.W" in folded.state_dict()
    assert "head.layers.0.W_hat" not in folded.state_dict()


def test_folding_a_graph_without_parameters_changes_nothing() -> None:
    class Plain(NAC):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.abs(x))

    folded = fold(primitives_of(Plain(2, 1)))
    folded.recompile()
    x = torch.tensor([[-1.0, 2.0]])
    assert torch.equal(folded(x), torch.log(torch.abs(x)))


def test_a_constant_behind_what_is_no_primitive_is_folded_in_a_live_file_too() -> None:
    """``weight_norm`` computes the weight; every file holds it, computed in float64 and rounded once."""

    class Normed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.abs(self.inner(x)) + 0.5)

    model = Normed()
    exact = copied(model.inner).double().weight.detach().float()
    state = form_of(model, "live").state_dict()
    assert any(value.shape == exact.shape and torch.equal(value, exact) for value in state.values())
