"""nalu_export.graph.spelling.changes: a tensor that was changed in place is read where it was changed."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.graph import primitive_of
from nalu_export.graph.evaluation import run
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.tracing import traced
from tests.captured import CALL


class _Net(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x: Tensor) -> Any:
        return self.function(x, self)


def _before_and_after(x: Tensor, p: _Net) -> Tensor:
    y = x * 2.0
    before = y + 1.0
    y.exp_()
    return before * y


def _several(x: Tensor, p: _Net) -> Tensor:
    y = x * 2.0
    y.abs_()
    y += x
    y.mul_(y)
    return y


def _told(x: Tensor, p: _Net) -> Tensor:
    y = x * 1.0
    z = F.elu(y, 0.5, True) + F.leaky_relu(y, 0.1, inplace=True)
    return z + y


def _the_input(x: Tensor, p: _Net) -> Tensor:
    x.exp_()
    return x * 3.0


@pytest.mark.parametrize("function", [_before_and_after, _several, _told, _the_input])
def test_the_result_is_that_of_the_module(function: Any) -> None:
    flat = traced(_Net(function), CALL)
    x = torch.rand(3, 2) - 0.5
    canonicalise(flat, run(flat, x.clone()))
    assert all(primitive_of(node) for node in flat.graph.nodes if node.op.startswith("call_"))
    expected = _Net(function)(x.clone())
    given = x.clone()
    torch.testing.assert_close(flat(given), expected, rtol=0, atol=0)
    assert torch.equal(given, x)


@pytest.mark.parametrize(
    "layer", [nn.Hardswish, nn.SELU, nn.Mish, nn.RReLU, lambda inplace: nn.Threshold(0.1, 0.2, inplace)]
)
def test_a_layer_of_torch_that_works_in_place(layer: Any) -> None:
    """Its result, and what is read after it."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer(inplace=True)

        def forward(self, x: Tensor) -> Tensor:
            y = x * 2.0
            before = y + 1.0
            after: Tensor = self.layer(y)
            return before * after + y

    flat = traced(Net().eval(), CALL)
    x = torch.rand(3, 2) - 0.5
    canonicalise(flat, run(flat, x))
    values = run(flat, x)
    torch.testing.assert_close(values[flat.graph.output_node()], Net().eval()(x))
    doubled = next(node for node in flat.graph.nodes if node.op.startswith("call_"))
    assert torch.equal(values[doubled], 2.0 * x)


def test_a_buffer_that_is_changed_stays_so() -> None:
    """It is state, and no function of the input."""
    flat = traced(_Net(lambda x, p: p.count.add_(1.0) + x), CALL)
    canonicalise(flat, run(flat, torch.rand(3, 2)))
    assert "add_" in {node.target for node in flat.graph.nodes}
