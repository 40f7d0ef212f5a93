"""nalu_export.graph.spelling.describe: calls as a person wrote them."""

import operator
from pathlib import PurePath

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export.graph.spelling.describe import source_of, spelling_of
from nalu_export.graph.tracing import traced
from tests.captured import CALL


def test_every_kind_of_call() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    for node, text in (
        (graph.call_function(torch.cumsum, (x, 1)), "torch.cumsum"),
        (graph.call_function(torch.add, (x, x), {"alpha": 2}), "torch.add with alpha"),
        (graph.call_function(operator.mod, (x, 2)), "torch.mod"),
        (graph.call_function(F.log_softmax, (x,), {"dim": 1}), "torch.nn.functional.log_softmax with dim"),
        (graph.call_function(torch.ops.aten.erf.default, (x,)), "torch.erf"),
        (graph.call_method("cumsum", (x, 1)), "Tensor.cumsum"),
        (graph.call_module("backbone.conv", (x,)), "the module backbone.conv"),
    ):
        assert spelling_of(node) == text


def test_the_line_that_the_user_wrote() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x * 2.0
            return torch.cumsum(y, 1)

    *_, node, _ = traced(Net(), CALL).graph.nodes
    first = Net.forward.__code__.co_firstlineno
    assert source_of(node) == f" ({PurePath(__file__).name}, line {first + 2})"
    assert source_of(fx.Graph().placeholder("x")) == ""
