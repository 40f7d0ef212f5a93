"""nalu_export.graph.subgraphs: regions as graphs of their own, one for all calls that run the same."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, NALUCell
from nalu_export.graph import ModelGraph, label_of, part_of
from nalu_export.graph.subgraphs import Spec
from nalu_export.modules.copying import copied
from tests.captured import graph_of


def _labels(graph: ModelGraph) -> list[str]:
    return [label for node in graph.flat.graph.nodes if (label := label_of(node))]


class _Loop(nn.Module):
    """One cell, called again and again; what is between its calls is opaque."""

    def __init__(self, calls: int = 2) -> None:
        super().__init__()
        self.cell, self.norm, self.calls = NALUCell(3, 3, tied=False), nn.BatchNorm1d(3), calls

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for _ in range(self.calls):
            h = self.cell(self.norm(x + h))
        return h


def test_a_module_that_is_called_again_is_one_subgraph() -> None:
    graph = graph_of(_Loop(3).eval())
    (subgraph,) = graph.subgraphs.values()
    assert (subgraph.name, subgraph.calls, subgraph.path, subgraph.type) == ("cell", 3, "cell", "NALUCell")
    assert [subgraph.called(call) for call in range(3)] == ["cell#1", "cell#2", "cell#3"]
    assert subgraph.inputs == subgraph.outputs == (Spec((3, 3), torch.float32),)
    parts = {part_of(node) for node in graph.flat.graph.nodes} - {None}
    assert parts == {"cell#1", "cell#2", "cell#3"}
    labels = _labels(graph)
    assert len(labels) == len(set(labels))
    assert {"cell#1.m", "cell#2.m", "cell#3.y"} <= set(labels)


def test_values_have_the_same_name_in_every_call() -> None:
    """The weights of the product stand after the sum in the first call, and before all of the second."""
    graph = graph_of(_Loop().eval())
    (subgraph,) = graph.subgraphs.values()
    module = copied(subgraph.module)
    own = {label for node in module.graph.nodes if (label := label_of(node))}
    constants = {"tanh", "sigmoid", "W", "tanh_2", "sigmoid_2", "W_mul"}
    for call in ("cell#1", "cell#2"):
        found = {label.removeprefix(f"{call}.") for label in _labels(graph) if label.startswith(f"{call}.")}
        assert found - constants == own - constants
    for first, second in zip(*_of_calls(graph), strict=True):
        assert (first.target, label_of(first)) == (second.target, str(label_of(second)).replace("#2", "#1"))


def _of_calls(graph: ModelGraph) -> list[list[torch.fx.Node]]:
    return [[node for node in graph.flat.graph.nodes if part_of(node) == f"cell#{call}"] for call in (1, 2)]


class _Changing(nn.Module):
    """A module that does something else when it is called again."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(3, 3))

    def forward(self, x: Tensor, again: bool = False) -> Tensor:
        y = torch.exp(-torch.abs(F.linear(x, self.w)))
        return torch.log1p(y) if again else y


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.norm = _Changing(), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(self.norm(self.cell(x)), again=True)
        return y


def test_a_module_that_does_something_else_is_another_subgraph() -> None:
    graph = graph_of(_Twice().eval(), (3,))
    first, second = graph.subgraphs.values()
    assert [(found.name, found.calls, found.path) for found in (first, second)] == [
        ("cell", 1, "cell"),
        ("cell_2", 1, None),
    ]
    # Both read the parameter of the one module.
    assert [found.parameter("w") for found in (first, second)] == ["cell.w", "cell.w"]
    x = torch.rand(5, 3)
    torch.testing.assert_close(second.module(x), graph.module.get_submodule("cell")(x, again=True))
    assert graph.host is not None
    torch.testing.assert_close(graph.host(x), graph.module(x))


class _Inline(nn.Module):
    """Arithmetic in the forward of a larger module, with names that are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.arithmetic = nn.Parameter(torch.rand(3))
        self.arithmetic_2 = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.exp(self.norm(x) * self.arithmetic)
        return torch.log(torch.abs(self.arithmetic_2(y)) + 1e-3)


def test_a_region_has_a_name_that_nothing_else_has() -> None:
    graph = graph_of(_Inline().eval(), (3,))
    assert list(graph.subgraphs) == ["arithmetic_3", "arithmetic_4"]
    first, second = graph.subgraphs.values()
    assert (first.path, first.namespace, first.type) == (None, "", "_Inline")
    assert list(first.module.state_dict()) == ["arithmetic"]
    assert not second.module.state_dict()
    x = torch.rand(4, 3)
    assert graph.host is not None
    torch.testing.assert_close(graph.host(x), graph.module(x))


class _Tied(nn.Module):
    """Two modules that share a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = _Changing(), nn.BatchNorm1d(3), _Changing()
        self.second.w = self.first.w

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.norm(self.first(x)))
        return y


def test_a_shared_parameter_keeps_its_name() -> None:
    graph = graph_of(_Tied().eval(), (3,))
    first, second = graph.subgraphs["first"], graph.subgraphs["second"]
    assert (first.parameter("w"), first.foreign) == ("first.w", frozenset())
    assert list(second.module.state_dict()) == ["first.w"]
    assert (second.parameter("first.w"), second.foreign) == ("first.w", frozenset({"first.w"}))
    x = torch.rand(4, 3)
    torch.testing.assert_close(graph.host(x), graph.module(x))  # type: ignore[misc]


def test_several_inputs_and_results() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.other = nn.BatchNorm1d(3), nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            product = torch.exp(self.norm(x)) * self.other(x)
            return torch.cat([torch.cumsum(product, 1), self.norm(torch.log(product))], dim=1)

    graph = graph_of(Net().eval(), (3,))
    (subgraph,) = graph.subgraphs.values()
    assert (len(subgraph.inputs), len(subgraph.outputs)) == (2, 2)
    x, y = torch.rand(4, 3), torch.rand(4, 3)
    product, logarithm = subgraph.module(x, y)
    torch.testing.assert_close(logarithm, torch.log(product))
    x = torch.rand(5, 3)
    torch.testing.assert_close(graph.host(x), graph.module(x), equal_nan=True)  # type: ignore[misc]


def test_the_whole_keeps_the_names_of_the_model(nalu: NALU) -> None:
    whole = graph_of(nalu).whole
    assert whole is not None
    assert set(whole.module.state_dict()) == set(nalu.state_dict())
    assert whole.parameter("layers.0.G") == "layers.0.G"
    x = torch.randn(7, 4)
    torch.testing.assert_close(whole.module(x), nalu(x), rtol=0, atol=0)
