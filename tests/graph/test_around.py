"""graph.around: what stands before and after an arithmetic subgraph."""

import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, build_head
from nalu_export.graph import Around, around
from tests.captured import graph_of


def test_a_head_behind_a_backbone() -> None:
    model = build_head(nn.Sequential(nn.Conv2d(1, 4, 3)), 4, [8], "classification", 3, pool="sum")
    assert around(graph_of(model), "head") == Around(("backbone", "reduce", "sum(dim=(2, 3))"), ("log_softmax(dim=1)",))


def test_nothing_is_around_the_whole() -> None:
    assert around(graph_of(NALU(2, 3, 1)), "") == Around()


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.other = NALU(3, 2), NAC(2, 1), nn.BatchNorm1d(3)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.lgamma(self.second(self.norm(self.first(self.other(x)))))
        return torch.cat([y, torch.cumsum(x, 1)], 1)


def test_another_subgraph_is_named_once_and_a_side_branch_not_at_all() -> None:
    graph = graph_of(_Branches().eval(), (3,))
    assert around(graph, "second") == Around(("other", "first", "norm"), ("lgamma", "cat(dim=1)"))
    assert around(graph, "first") == Around(("other",), ("norm", "second", "lgamma", "cat(dim=1)"))


def test_modules_within_modules_are_named_by_the_outermost() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            block = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Sequential(nn.BatchNorm2d(3), nn.MaxPool2d(2)))
            self.body, self.inner = block, _Branches()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.inner(self.body(x).mean((2, 3)))
            return torch.cumsum(y, 1)

    graph = graph_of(Outer().eval(), (1, 4, 4))
    assert around(graph, "inner.first") == Around(
        ("body", "mean(dim=(2, 3))", "inner.other"),
        ("inner.norm", "inner.second", "lgamma", "cat(dim=1)", "cumsum(1)"),
    )


def test_all_calls_of_a_subgraph_are_one() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.norm = NALU(3, 3), nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.cell(self.norm(self.cell(x)))
            return torch.cumsum(y, 1)

    assert around(graph_of(Twice().eval()), "cell") == Around(("norm",), ("norm", "cumsum(1)"))


def test_what_is_computed_of_parameters_alone_feeds_nobody() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W, self.b = nn.Parameter(torch.rand(3, 3)), nn.Parameter(torch.rand(3))
            self.norm = nn.BatchNorm1d(3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(self.norm(x) @ torch.tanh(self.W) + torch.lgamma(self.b))

    assert around(graph_of(Own().eval(), (3,)), "arithmetic") == Around(("norm",))
