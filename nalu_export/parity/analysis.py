"""Running error analysis of the captured graph: how large an error a correct evaluation may make.

Each value ``v`` of the graph carries, in float64, two measures of the error of an evaluation in the precision of a
:class:`~nalu_export.primitives.precision.Profile`.

The *radius* is a bound: no correct evaluation is further from ``v``. Its rules (:mod:`nalu_export.primitives`) are
ball arithmetic, and the verdict of a check is ``|out − ref| ≤ radius``.

``D`` is a unit: with ``u = 2⁻²⁴``, a backward-stable float32 evaluation is off by a few ``u·D``, and
``E = max |out − ref| / (u·D)`` says how many. For one NALU cell ::

    D = g·(|W||x|)·(1 + h·|G||x|) + h·m·(1 + |W||log(|x| + ε)| + g·|G||x|),   g = σ(z), h = σ(−z)

Its rules (:mod:`nalu_export.primitives`), after Higham, *Accuracy and Stability of Numerical Algorithms* (2002),
chapter 3:

* a linear map reads each input with one relative rounding: ``D = |W|(D_x + |x|)``, and its size is ``|W||x|``;
* a function ``f`` reads its argument with at least one: ``D = |f′|·max(D_x, |x|)``, and ``exp`` adds ``f`` itself; the
  logarithm takes ``D_x/x`` alone, because the linear map behind it already counts ``|log|``;
* products follow the product rule over sizes, sums add; neither is less than the size of its own terms.

The error of opaque ops follows a rule for the op or is measured (:mod:`nalu_export.parity.opaque`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from nalu_export.graph import part_of, primitive_of
from nalu_export.graph.constants import parameter_nodes, read_by_parts
from nalu_export.graph.evaluation import constant, evaluated, result_nodes
from nalu_export.graph.loops import Loop, loops_of
from nalu_export.parity.opaque import OpaqueCalls
from nalu_export.parity.opaque.allowance import KERNEL
from nalu_export.primitives.conditioned import Conditioned, of_entries, rounded, stacked
from nalu_export.primitives.operands import signs_of_zeros
from nalu_export.primitives.precision import FLOAT32, FLOAT64, Precision, Profile

# Reference and analysis are computed in float64; their own roundings are 2⁻²⁹ of float32's.
OWN_ERROR = 2.0**-20
# Roundings of a weight that torch normalises itself: a sum over its rows, a root and a quotient.
WEIGHT = 32.0


class ErrorAnalysis:
    """Runs a graph in float64 and computes ``D`` and the radius of every value.

    Attributes:
        graph_module: the graph that is analysed.
        opaque: evaluates the opaque ops and measures their error.

    Args:
        graph_module: a flat graph, all in float64: folded, or with raw parameters where the runtime computes the
            effective weights itself.
        opaque: the opaque ops of the same model, shared with the analysis of another form of it.
    """

    def __init__(self, graph_module: fx.GraphModule, opaque: OpaqueCalls | None = None) -> None:
        self.graph_module = graph_module
        self.opaque = opaque or OpaqueCalls(graph_module)
        self._edges = {node for node in graph_module.graph.nodes if _leaves_its_part(node)}
        self._constants = set(parameter_nodes(graph_module.graph))
        self._weights = read_by_parts(graph_module.graph)
        self._loops = {path: (loop, ErrorAnalysis(loop.body)) for path, loop in loops_of(graph_module)}
        # Values that depend on parameters only are the same for all inputs.
        self._kept: dict[Profile, dict[fx.Node, Any]] = {}

    def __call__(self, inputs: Sequence[Any], profile: Profile) -> tuple[Conditioned, ...]:
        """Return the model's outputs for a batch (float32 values held in float64), ``D`` never less than ``|y|``."""
        known = dict(self._walk(inputs, profile))
        return tuple(_output(node, known[node]) for node in result_nodes(self.graph_module.graph))

    def walk(self, inputs: Sequence[Tensor], profile: Profile) -> Iterator[tuple[fx.Node, Conditioned]]:
        """Yield every number of the graph, in the order of computation."""
        return ((node, value) for node, value in self._walk(inputs, profile) if isinstance(value, Conditioned))

    def _walk(self, inputs: Sequence[Any], profile: Profile) -> Iterator[tuple[fx.Node, Any]]:
        kept = self._kept.setdefault(profile, {})
        known: dict[fx.Node, Any] = dict(kept)
        waiting = list(inputs)
        for node in self.graph_module.graph.nodes:
            if node.op == "output":
                return
            if node.op == "placeholder":
                known[node] = _given(waiting.pop(0), profile)
            elif node not in known:
                known[node] = self._evaluate(node, known, profile)
                if node in self._constants:
                    kept[node] = known[node]
            yield node, known[node]

    def _loop(self, found: "tuple[Loop, ErrorAnalysis]", given: Sequence[Any], profile: Profile) -> tuple[Any, ...]:
        """Analyse a loop step by step; each step starts from the analysed results of the step before."""
        loop, step = found
        state, scanned, rest = loop.parts(given)
        results: list[tuple[Any, ...]] = []
        for place in range(len(_value(scanned[0]))):
            outs = step([*state, *(_entry(x, place) for x in scanned), *rest], profile)
            state = list(outs[: loop.carried])
            results.append(outs[loop.carried :])
        return (*state, *(stacked(each) for each in zip(*results, strict=True)))

    def _used(self, node: fx.Node, weight: Conditioned, profile: Profile) -> Conditioned:
        """Add the rounding of a weight to the type of the computation, where data use the weight."""
        if all(user in self._constants for user in node.users):
            return weight
        return replace(weight, radius=weight.radius + profile.inside.representation(weight.value))

    def _weight(self, node: fx.Node, known: dict[fx.Node, Any], precision: Precision) -> Any:
        """Allow some roundings for a weight that torch computes from parameters with an op that is no primitive."""
        values = {a: x.value if isinstance(x := known[a], Conditioned) else x for a in node.all_input_nodes}
        result = evaluated(node, self.graph_module, values)
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        return Conditioned.exact(result.double(), WEIGHT * precision.roundoff * result.double().abs())

    def _evaluate(self, node: fx.Node, known: dict[fx.Node, Any], profile: Profile) -> Any:
        inside = part_of(node) is not None or node in self._weights
        precision = profile.inside if inside else profile.outside
        if node.op == "call_module" and str(node.target) in self._loops:
            return self._loop(self._loops[str(node.target)], [known[a] for a in node.all_input_nodes], profile)
        # Weights are computed in float64 and rounded once, unless a runtime computes the weights itself.
        wide = profile.live and node in self._constants
        precision = FLOAT64 if wide else precision
        if node.op == "get_attr":
            value = constant(self.graph_module, str(node.target)).detach()
            if not value.is_floating_point():
                return value
            given = Conditioned.exact(value, precision.representation(value))
            return self._used(node, given, profile) if wide else given
        primitive = primitive_of(node)
        if primitive is None and node in self._constants:
            return self._weight(node, known, precision)
        conditioned = any(isinstance(known[argument], Conditioned) for argument in node.all_input_nodes)
        # An integer that is cast to float is analysed from there on.
        if primitive is None or not (conditioned or primitive.kind == "cast"):
            return self.opaque(node, known, precision)
        arguments: Any = fx.node.map_arg(node.args, lambda argument: known[argument])
        result = primitive.conditioned(precision, *arguments)
        if wide:
            return self._used(node, result, profile)
        if primitive.name == "sigmoid" and not inside:
            # Here the runtime's own kernel is used, which is only absolutely accurate (ONNX Runtime issue 22557).
            result = replace(result, radius=result.radius + KERNEL)
        if node in self._edges and profile.compute == "float64" and not profile.all_double:
            # float32 at the edge of the subgraph; the reference errs by as much as a float64 evaluation.
            return rounded(result, FLOAT32, 2.0)
        return result


def _value(x: Any) -> Tensor:
    found: Tensor = x.value if isinstance(x, Conditioned) else x
    return found


def _entry(x: Any, place: int) -> Any:
    """Return one entry of the first axis of a scanned value."""
    return of_entries(x, lambda field: field[place]) if isinstance(x, Conditioned) else x[place]


def _given(x: Any, profile: Profile) -> Any:
    """Return an input as the analysis holds it: integers unchanged, and in a loop a value that is already analysed."""
    if isinstance(x, Conditioned):
        return x
    if x.dtype == torch.bool:
        return Conditioned.exact(x.double())
    if not x.is_floating_point():
        return x
    # A runtime may flush subnormal inputs to zero.
    given = Conditioned.exact(x, x.abs().where(x.abs() < profile.outside.tiny, x.new_zeros(())))
    return replace(given, zero=signs_of_zeros(x))


def _output(node: fx.Node, value: Any) -> Conditioned:
    """Return an output for comparison; a truth value that the bound leaves undecided is marked as lost."""
    if not isinstance(value, Conditioned):
        return Conditioned.exact(value.double())
    if "whole" in node.meta:
        return value
    if node.meta.get("truth"):
        undecided = value.radius > 0
        return replace(value, lost=torch.where(undecided, 1, value.lost).to(torch.int8))
    return replace(value, error=value.read, radius=value.radius * (1 + OWN_ERROR))


def _leaves_its_part(node: fx.Node) -> bool:
    """Return whether a node outside the node's arithmetic subgraph reads it, in float32."""
    part = part_of(node)
    return part is not None and any(part_of(user) != part for user in node.users)
