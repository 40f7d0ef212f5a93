"""The error of code that is not arithmetic graph (a backbone, a softmax): measured, because no rule knows it."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from nalu_export.parity.conditioned import ROUNDOFF, Conditioned, settle

# Another correct float32 implementation sums in another order: its error is as large as the measured one, not equal.
SAFETY = 2.0
DIRECTIONS = 8


class OpaqueCalls:
    """Evaluates the opaque nodes of a float64 graph and measures what they add to ``D``.

    Own error: twice the largest difference, over a sample, between the call in float32 and in float64 on the same
    inputs, and one rounding of the result. Passed on: twice the largest change of each output over
    :data:`DIRECTIONS` seeded random signs of ``u·D`` added to the inputs.

    Args:
        graph_module: a graph in float64; its modules are copied to float32.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._single: dict[str, nn.Module] = {
            str(node.target): copy.deepcopy(graph_module.get_submodule(str(node.target))).float()
            for node in graph_module.graph.nodes
            if node.op == "call_module"
        }

    def __call__(self, node: fx.Node, known: dict[fx.Node, Any]) -> Any:
        """The conditioned result of one opaque node; what is not a tensor (a shape, a number) passes as it is."""
        inputs = [known[argument] for argument in node.all_input_nodes]
        conditioned = [argument for argument in inputs if isinstance(argument, Conditioned)]

        def run(change: Callable[[Conditioned], Any], *, single: bool = False) -> Any:
            def value(argument: fx.Node) -> Any:
                found = known[argument]
                return change(found) if isinstance(found, Conditioned) else found

            args, kwargs = fx.node.map_arg((node.args, node.kwargs), value)
            return self._call(node, args, kwargs, single=single)

        result = run(lambda c: c.value)
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        single = run(lambda c: c.value.float(), single=True).double()
        double = run(lambda c: c.value.float().double())
        error = _per_sample(SAFETY * (single - double).abs()) / ROUNDOFF + result.abs()
        if any(bool(argument.error.any()) for argument in conditioned):
            generator = torch.Generator().manual_seed(0)
            change = torch.zeros_like(result)
            for _ in range(DIRECTIONS):
                moved = run(lambda c: c.value + ROUNDOFF * c.error * _signs(c.value, generator))
                change = torch.maximum(change, (moved - result).abs())
            error = error + SAFETY * change / ROUNDOFF
        return settle(result, result.abs(), error, conditioned, elementwise=False)

    def _call(self, node: fx.Node, args: Any, kwargs: Any, *, single: bool) -> Any:
        if node.op == "call_module":
            target = str(node.target)
            module = self._single[target] if single else self._graph_module.get_submodule(target)
            return module(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 2, like.shape, generator=generator).to(like.dtype) * 2 - 1


def _per_sample(error: Tensor) -> Tensor:
    if error.ndim < 2 or error.numel() == 0:
        return error
    return error.amax(dim=tuple(range(1, error.ndim)), keepdim=True).expand(error.shape)
