"""nalu_export.graph.constants: what depends on parameters alone, and what a file calls it."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from nalu_export import NALU, NALUCell
from nalu_export.graph.constants import behind_opaque, folded_names, frontier, is_parametrisation, parameter_nodes
from nalu_export.graph.naming import label_of
from tests.captured import primitives_of


def _names(layer: nn.Module) -> set[str]:
    return set(folded_names(primitives_of(layer, (3,)).graph).values())


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W_hat, self.M_hat, self.W = (nn.Parameter(torch.rand(3, 3)) for _ in range(3))
        self.g = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        first = torch.tanh(self.W_hat) * torch.sigmoid(self.M_hat)
        y = torch.exp(F.linear(x, first)) + F.linear(x, self.W)
        return y * torch.sigmoid(self.g) + x @ self.W_hat.T


def test_a_constant_is_named_after_its_first_parameter() -> None:
    assert _names(NALUCell(3, 2)) == {"W", "G"}
    assert _names(NALU(3, 2, 1)) == {f"layers.{k}.{name}" for k in (0, 1) for name in ("W", "G")}


def test_a_name_that_is_taken_is_left_to_who_has_it() -> None:
    # W is a parameter that is read as it is, and σ(g) is not g: what is computed is called as in the source.
    assert _names(_Layer()) == {"first", "W", "sigmoid_2", "transpose_2"}


def test_a_matrix_that_is_read_the_other_way_round_keeps_its_name() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.M = nn.Parameter(torch.rand(3, 2))

        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(x @ self.M)

    assert _names(Layer()) == {"M"}


def test_what_depends_on_parameters_and_what_reads_it() -> None:
    graph = primitives_of(NALUCell(3, 2)).graph
    found = parameter_nodes(graph)
    assert [str(node.target) for node in found if node.op == "get_attr"] == ["W_hat", "M_hat", "G"]
    assert [label_of(node) or node.target for node in frontier(found)] == ["W", "G"]
    assert not behind_opaque(graph)


def test_opaque_code_on_parameters() -> None:
    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(3))

        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(x * torch.lgamma(torch.exp(self.a))) * torch.tanh(self.b)

    graph = primitives_of(Layer(), (3,)).graph
    names = [node.name for node in behind_opaque(graph)]
    assert len(names) == 3
    assert any("lgamma" in name for name in names)
    assert not any("tanh" in name for name in names)


def test_a_weight_that_torch_computes() -> None:
    layer = nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 3)), NALUCell(3, 2))
    graph = primitives_of(layer, (3,)).graph
    assert any(map(is_parametrisation, graph.nodes))
    assert {"0.weight", "0.bias"} <= set(folded_names(graph).values())


@pytest.mark.parametrize("tied", [True, False])
def test_no_two_have_one_name(tied: bool) -> None:
    names = list(folded_names(primitives_of(NALU(3, 3, 3, tied=tied)).graph).values())
    assert len(names) == len(set(names)) == (4 if tied else 6)
