"""nalu_export.parity.opaque.naming: one name for every spelling of a call."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export.parity.opaque.naming import bound, changes_its_input, function_name, module_name

aten = torch.ops.aten


def _node(function: Callable[..., Any]) -> fx.Node:
    graph = fx.symbolic_trace(function).graph
    found: fx.Node = next(node for node in graph.nodes if node.op.startswith("call_"))
    return found


WEIGHT = torch.zeros(2, 2, 3, 3)
SPELLINGS: dict[str, list[Callable[[Tensor], Any]]] = {
    "conv2d": [
        lambda x: F.conv2d(x, WEIGHT, stride=2),
        lambda x: torch.conv2d(x, weight=WEIGHT),
        lambda x: aten.conv2d.default(x, WEIGHT),
    ],
    "softmax": [lambda x: F.softmax(x, dim=1), lambda x: torch.softmax(x, 1), lambda x: x.softmax(1)],
    "max_pool2d": [lambda x: F.max_pool2d(x, 2), lambda x: aten.max_pool2d.default(x, [2, 2])],
    "batch_norm": [lambda x: F.batch_norm(x, WEIGHT, WEIGHT)],
    "relu": [lambda x: F.relu_(x), lambda x: x.relu_()],
}


def _made() -> Callable[[Tensor], Tensor]:
    def conv2d(x: Tensor) -> Tensor:
        return x

    return conv2d


OWN = _made()


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_has_one_name(name: str) -> None:
    for function in SPELLINGS[name]:
        assert function_name(_node(function)) == name


def test_a_function_of_that_name_that_is_not_torchs_is_not_known() -> None:
    graph = fx.Graph()
    assert function_name(graph.call_function(OWN, (graph.placeholder("x"),))) == ""
    assert OWN.__name__ == "conv2d"


def test_arguments_are_found_by_name_whatever_their_order() -> None:
    statistics = torch.ones(2)
    functional = _node(lambda x: F.batch_norm(x, statistics, statistics, eps=0.5))
    places = bound(functional, "batch_norm")
    assert (places["input"], places["running_mean"], places["running_var"], places["eps"]) == (0, 1, 2, "eps")
    exported = _node(lambda x: aten.batch_norm.default(x, None, None, statistics, statistics, False, 0.1, 0.5, True))
    places = bound(exported, "batch_norm")
    assert (places["input"], places["weight"], places["running_mean"], places["eps"]) == (0, 1, 3, 7)
    assert bound(_node(lambda x: F.conv2d(x, WEIGHT, stride=2)), "conv2d") == {
        "input": 0,
        "weight": 1,
        "stride": "stride",
    }
    assert bound(_node(lambda x: x.softmax(dim=1)), "softmax") == {"input": 0, "dim": "dim"}


def test_a_module_with_a_forward_of_its_own_is_no_module_of_torch() -> None:
    class Mine(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            return super().forward(input) * 2.0

    class Named(nn.Conv2d):
        pass

    assert module_name(Mine(1, 1, 1)) == module_name(nn.LSTM(1, 1)) == ""
    assert module_name(Named(1, 1, 1)) == "conv2d"
    assert module_name(nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 1, 1))) == "conv1d"


def test_what_writes_into_its_input_is_known() -> None:
    writes = [lambda x: F.relu_(x), lambda x: x.add_(1.0), lambda x: aten.relu_.default(x)]
    assert all(changes_its_input(_node(function)) for function in writes)
    assert not any(changes_its_input(_node(f)) for f in (lambda x: F.relu(x), lambda x: x + 1, lambda x: x.__abs__()))
