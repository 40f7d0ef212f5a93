"""nalu_export.graph.rewrites: the same function, without a Sigmoid, accurate where a Sigmoid is not."""

import pytest
import torch
from torch import Tensor

from nalu_export import NALU, ArithmeticLayer
from nalu_export.graph import primitive_of, trace, well_conditioned


class _Gates(ArithmeticLayer):
    """Every way in which a sigmoid is used."""

    def __init__(self, use: str) -> None:
        super().__init__()
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(x)
        if self.use == "alone":
            return gate
        if self.use == "of a negation":
            return torch.sigmoid(-x) * x
        if self.use == "on the right":
            return x * gate
        if self.use == "squared":
            return gate * gate
        if self.use == "scaled":
            return 3.0 * gate
        return gate * x + torch.sigmoid(x) * torch.sigmoid(-x)


USES = ["alone", "of a negation", "on the right", "squared", "scaled", "shared"]


def _names(graph_module: torch.fx.GraphModule) -> list[str]:
    return [p.name for p in map(primitive_of, graph_module.graph.nodes) if p is not None]


@pytest.mark.parametrize("use", USES)
def test_the_function_stays_and_no_sigmoid_is_left(use: str) -> None:
    layer = _Gates(use)
    form = well_conditioned(trace(layer))
    assert "sigmoid" not in _names(form)
    x = torch.tensor([[-700.0, -120.0, -40.0, -1.0, 0.0, 1.0, 40.0, 700.0]], dtype=torch.float64)
    torch.testing.assert_close(form(x), layer(x), rtol=1e-14, atol=1e-300)


def test_far_gates_keep_their_relative_accuracy_in_float32() -> None:
    form = well_conditioned(trace(_Gates("alone")))
    z = torch.linspace(-85.0, 85.0, 1001)
    exact = torch.sigmoid(z.double())
    assert float(((form(z).double() - exact) / exact).abs().max()) < 4 * 2.0**-24


@pytest.mark.parametrize("z", [-1e4, -89.0, 89.0, 1e4])
def test_gates_beyond_the_range_of_exp_are_finite(z: float) -> None:
    value = well_conditioned(trace(_Gates("alone")))(torch.tensor([[z]]))
    assert torch.isfinite(value).all()


def test_a_negated_gate_needs_no_second_negation(nalu: NALU) -> None:
    # Two gates a cell, σ(z) and σ(−z): one Neg a cell, and one for the weight's σ(M_hat).
    assert _names(well_conditioned(trace(nalu))).count("neg") == 4
