"""One opaque call as a graph, and what is said of its result."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.graph.evaluation import constant
from nalu_export.parity.opaque import OpaqueCalls
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import FLOAT32, Precision
from tests.primitives.balls import ball

Function = Callable[..., Any]


class _Around(nn.Module):
    """A module or function as the only call of a graph."""

    def __init__(self, inner: Function | nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        return self.inner(x)


class OneCall:
    """A call in float64 in a graph of its own; ``self(x)`` is what is known of its result."""

    def __init__(self, inner: Function | nn.Module) -> None:
        module = _Around(copy.deepcopy(inner)).double().eval()
        self.graph_module = fx.symbolic_trace(module)
        self.node = next(node for node in self.graph_module.graph.nodes if node.op.startswith("call_"))
        self.calls = OpaqueCalls(self.graph_module)

    def __call__(self, x: Tensor | Conditioned, precision: Precision = FLOAT32, *, radius: float = 0.0) -> Any:
        given = x if isinstance(x, Conditioned) else ball(x, radius)
        known: dict[fx.Node, Any] = {}
        for node in self.graph_module.graph.nodes:
            if node.op == "placeholder":
                known[node] = given
            elif node.op == "get_attr":
                known[node] = ball(constant(self.graph_module, str(node.target)))
        with torch.no_grad():
            return self.calls(self.node, known, precision)

    def calibrate(self, x: Tensor) -> None:
        """Measure what is measured, on one batch."""
        with self.calls.calibrating():
            self(x)


def holds(found: Conditioned, out: Tensor) -> bool:
    """Whether a float32 result is within the radius."""
    return bool(((out.double() - found.value).abs() <= found.radius).all())
