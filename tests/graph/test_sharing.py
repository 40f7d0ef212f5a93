"""nalu_export.graph.sharing: what depends on parameters alone is computed once."""

import torch
from torch import Tensor, nn

from nalu_export.graph.sharing import share_constants
from nalu_export.graph.tracing import traced
from tests.captured import CALL


class _Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.v = nn.Parameter(torch.rand(3)), nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x * torch.tanh(self.w)) + torch.tanh(self.v)


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.norm = _Cell(), nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.cell(self.norm(self.cell(x))))
        return y


def test_weights_of_two_calls_are_one() -> None:
    model = _Net().eval()
    flat = traced(model, CALL)
    share_constants(flat)
    nodes = list(flat.graph.nodes)
    targets = [node.target for node in nodes]
    assert targets.count("cell.w") == targets.count("cell.v") == 1
    # One of w, one of v; what reads data stays twice.
    assert targets.count(torch.tanh) == 2
    assert targets.count(torch.exp) == 2
    assert targets.count("norm") == 2
    x = torch.rand(5, 3)
    torch.testing.assert_close(flat(x), model(x))


def test_arguments_tell_calls_apart() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.rand(2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.w.sum(0) + self.w.sum(1).sum(0) + self.w.sum(dim=0) + self.w.sum(0)

    model = Net()
    flat = traced(model, CALL)
    share_constants(flat)
    # By position, along the other axis, by keyword; and the sum of a sum.
    assert [node.target for node in flat.graph.nodes].count("sum") == 4
    x = torch.rand(5, 3)
    torch.testing.assert_close(flat(x), model(x))
