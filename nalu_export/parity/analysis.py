"""How large an error a float32 evaluation may make: first-order running error analysis of the traced graph.

Each value ``v`` of the graph carries, in float64, its *size* ``s`` (of the terms that are added to give it) and ``D``,
such that a backward-stable float32 evaluation is off by a few ``u·D``, ``u = 2⁻²⁴``. For one NALU cell ::

    D = g·(|W||x|)·(1 + h·|G||x|) + h·m·(1 + |W||log(|x| + ε)| + g·|G||x|),   g = σ(z), h = σ(−z)

and ``E = max |out − ref| / (u·D)``. The rules, after Higham, *Accuracy and Stability of Numerical Algorithms* (2002),
chapter 3:

* a linear map reads each input with one relative rounding: ``D = |W|(D_x + |x|)``, ``s = |W||x|``;
* a function ``f`` reads its argument with at least one: ``D = |f′|·max(D_x, |x|)``, and ``exp`` adds ``f`` itself; the
  logarithm takes ``D_x/x`` alone, because the linear map behind it already counts ``|log|``;
* products follow the product rule over sizes, sums add; neither is less than the size of its own terms;
* code that is not arithmetic contributes what is measured of it (:mod:`nalu_export.parity.opaque`).
"""

from typing import Any

from torch import Tensor, fx

from nalu_export.graph import primitive_of
from nalu_export.graph.trace import constant
from nalu_export.parity.conditioned import Conditioned, settle
from nalu_export.parity.opaque import OpaqueCalls
from nalu_export.parity.rules import RULES


class ErrorAnalysis:
    """Runs a folded graph in float64 and carries ``D`` along.

    Attributes:
        longest_sum: terms in the longest dot product of the arithmetic part, 1 where there is none.
        lost_terms: the largest number of weights of one output that are too small beside the largest for their
            products to be added without loss, and not so small that they do not matter.

    Args:
        graph_module: from :func:`nalu_export.graph.trace_model`, folded, all in float64.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._opaque = OpaqueCalls(graph_module)
        self._constants = {
            node: Conditioned.exact(constant(graph_module, str(node.target)))
            for node in graph_module.graph.nodes
            if node.op == "get_attr"
        }
        weights = [
            self._constants[node.args[1]].value
            for node in graph_module.graph.nodes
            if (primitive := primitive_of(node)) is not None and primitive.name == "linear"
        ]
        self.longest_sum = max((weight.shape[1] for weight in weights), default=1)
        self.lost_terms = max(map(_lost_terms, weights), default=0)

    def __call__(self, x: Tensor) -> Conditioned:
        """The model's output for ``x`` (float32 values held in float64) with its ``D``, never less than ``|y|``."""
        known: dict[fx.Node, Conditioned] = dict(self._constants)
        for node in self._graph_module.graph.nodes:
            if node.op == "placeholder":
                known[node] = Conditioned.exact(x)
            elif node.op == "output":
                result = known[node.args[0]]
                return Conditioned(result.value, result.size, result.read, result.overflow)
            elif node.op != "get_attr":
                known[node] = self._evaluate(node, known)
        raise AssertionError("a graph without an output")

    def _evaluate(self, node: fx.Node, known: dict[fx.Node, Conditioned]) -> Conditioned:
        primitive = primitive_of(node)
        if primitive is None:
            return self._opaque(node, known)  # type: ignore[no-any-return]
        arguments: Any = fx.node.map_arg(node.args, lambda argument: known[argument])  # type: ignore[arg-type, return-value]
        elementwise = primitive.name not in ("linear", "prod")
        return settle(*RULES[primitive.name](*arguments), arguments, elementwise=elementwise)


def _lost_terms(weight: Tensor) -> int:
    """See :attr:`ErrorAnalysis.lost_terms`: from 2⁻³⁶ to 2⁻¹⁶ of the largest weight of the same output."""
    relative = weight.abs() / weight.abs().amax(dim=1, keepdim=True)
    return int(((relative > 2.0**-36) & (relative < 2.0**-16)).sum(dim=1).max())
