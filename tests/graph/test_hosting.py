"""nalu_export.graph.hosting: the model with a module in place of each arithmetic subgraph computes the same."""

import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell
from nalu_export.graph import ModelGraph
from tests.captured import graph_of


def _calls(graph: ModelGraph) -> list[str]:
    assert graph.host is not None
    return [str(node.target) for node in graph.host.graph.nodes if node.op == "call_module"]


def _same(graph: ModelGraph, *shape: int) -> None:
    assert graph.host is not None
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(graph.host(x), graph.module(x))


def test_a_head_behind_a_backbone(image_model: BackboneHead) -> None:
    graph = graph_of(image_model, (1, 8, 8))
    assert _calls(graph) == ["backbone.0", "backbone.1", "backbone.3", "reduce", "head"]
    _same(graph, 2, 1, 8, 8)
    _same(graph, 5, 1, 9, 12)
    # It holds what it runs and nothing else.
    names = set(dict(graph.host.named_modules()))  # type: ignore[union-attr]
    assert "head" in names
    assert "backbone.2" not in names


def test_there_is_none_where_the_model_is_one_subgraph(nalu: NALU) -> None:
    assert graph_of(nalu).host is None


def test_a_subgraph_is_one_module_in_all_its_calls() -> None:
    cell = NALUCell(3, 3)
    model = nn.Sequential(cell, nn.BatchNorm1d(3), cell, nn.BatchNorm1d(3), cell).eval()
    graph = graph_of(model)
    assert _calls(graph) == ["0", "1", "0", "3", "0"]
    _same(graph, 4, 3)


class _Crossing(nn.Module):
    """Two regions whose nodes take turns in the order of computation."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = NAC(3, 3), NALU(3, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.exp(self.norm(x))
        b = self.second(x)
        c: Tensor = self.norm(b)
        d = a * 2.0 + a * a
        e: Tensor = self.norm(self.first(d))
        return e * c


def test_each_comes_after_what_it_reads() -> None:
    graph = graph_of(_Crossing().eval())
    _same(graph, 4, 3)
    order = list(graph.host.graph.nodes)  # type: ignore[union-attr]
    for place, node in enumerate(order):
        assert all(order.index(argument) < place for argument in node.all_input_nodes)


class _Borrowing(nn.Module):
    """Opaque code that reads a parameter of the module that is a subgraph."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.norm = NALUCell(3, 3), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(self.norm(x))
        return torch.cumsum(y, 1) + torch.lgamma(torch.abs(self.cell.G)).sum(0)


def test_what_else_reads_a_parameter_of_a_subgraph_has_it_by_another_name() -> None:
    graph = graph_of(_Borrowing().eval())
    assert graph.host is not None
    assert "shared_cell_G" in {str(node.target) for node in graph.host.graph.nodes}
    _same(graph, 4, 3)
