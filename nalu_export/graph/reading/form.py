"""A subgraph as a file holds it, with the values and names of its constants: nodes that depend on parameters alone."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import torch
from torch import Tensor, fx

from nalu_export.graph.constants import behind_opaque, folded_names, parameter_nodes
from nalu_export.graph.evaluation import Values, evaluated
from nalu_export.graph.places import Call, stack_of
from nalu_export.graph.reading._nodes import is_
from nalu_export.graph.rewrites import without_cancellation
from nalu_export.graph.subgraphs import Spec, Subgraph


class Form:
    """A graph of primitives with its constants.

    Attributes:
        module: the graph, without cancellation: ``σ(−z)`` in place of ``1 − σ(z)``. It shares the tensors of the model.
        names: for each constant that data reads, its name in a folded file, by node.
        inputs: shapes and types of the inputs.

    Args:
        module: a graph of primitives; it is not changed.
        parameter: returns the name in the model of a parameter of ``module``.
        inputs: see above.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        parameter: Callable[[str], str] = str,
        inputs: tuple[Spec, ...] = (),
    ) -> None:
        self.module = _copy(module)
        without_cancellation(self.module)
        self.inputs = inputs
        self._parameter = parameter
        graph = self.module.graph
        self._constants = dict.fromkeys(parameter_nodes(graph))
        self.names = {node: parameter(name) for node, name in folded_names(graph).items()}
        opaque = behind_opaque(graph)
        # If torch computes a weight by something other than primitives, a live file holds the result.
        self._opaque = {node: parameter(name) for node, name in folded_names(graph, opaque).items()} if opaque else {}
        self._values: Values = {}
        self._example: Values = {}
        self._calls: dict[tuple[Any, ...], dict[fx.Node, None]] = {}

    @staticmethod
    def of(subgraph: Subgraph) -> "Form":
        """Return the form of an arithmetic subgraph."""
        return Form(subgraph.module, subgraph.parameter, subgraph.inputs)

    @property
    def graph(self) -> fx.Graph:
        """The graph."""
        return self.module.graph

    def is_constant(self, node: object) -> bool:
        """Return whether a node depends on parameters alone."""
        return node in self._constants

    def data(self, node: fx.Node) -> list[fx.Node]:
        """Return the arguments of a node that depend on the input."""
        return [argument for argument in node.all_input_nodes if argument not in self._constants]

    def parameter(self, node: fx.Node) -> str | None:
        """Return the name of a constant that a live file stores; ``None`` for one that it computes."""
        if node.op == "get_attr":
            return self._parameter(str(node.target))
        return self._opaque.get(node)

    def parameters(self, node: fx.Node) -> list[str]:
        """Return the names in the model of all parameters that a constant is computed from."""
        found: dict[str, None] = {}
        for constant in self._behind(node):
            if constant.op == "get_attr":
                found[self._parameter(str(constant.target))] = None
            elif constant.op == "call_module":
                path = str(constant.target)
                held = self.module.get_submodule(path).named_parameters()
                found |= dict.fromkeys(self._parameter(f"{path}.{name}") for name, _ in held)
        return list(found)

    def uses(self, node: fx.Node, *names: str) -> bool:
        """Return whether a constant is computed with one of these primitives."""
        return any(is_(constant, *names) for constant in self._behind(node))

    def _behind(self, node: fx.Node) -> list[fx.Node]:
        found: dict[fx.Node, None] = {}
        waiting = [node]
        while waiting:
            current = waiting.pop()
            if current not in found:
                found[current] = None
                waiting += current.all_input_nodes[::-1]
        return list(found)

    def value(self, node: fx.Node) -> Tensor:
        """Return the value of a constant in float64."""
        if node not in self._values:
            for argument in node.all_input_nodes:
                self.value(argument)
            self._values[node] = _evaluated(node, self.module, self._values)
        value: Tensor = self._values[node]
        return value

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """Return the shape of a constant."""
        return tuple(self.value(node).shape)

    def run(self, *inputs: Tensor, instead: Mapping[fx.Node, Tensor] | None = None) -> Values:
        """Return every value of the graph, computed in float64.

        Args:
            *inputs: inputs in float64.
            instead: values that replace the results of some nodes.
        """
        waiting = list(inputs)
        return self.resume(
            {node: waiting.pop(0) for node in self.graph.nodes if node.op == "placeholder" and waiting},
            list(self.graph.nodes),
            instead or {},
        )

    def example(self) -> Values:
        """Return every value for seeded random inputs; callers read shapes from them."""
        if not self._example:
            rng = torch.Generator().manual_seed(0)
            self._example = self.run(*(spec.drawn(rng) for spec in self.inputs))
        return self._example

    def inside(self, call: Call) -> Collection[fx.Node]:
        """Return the nodes that a call of a module computes, in order."""
        if not self._calls:
            for node in self.graph.nodes:
                for held in stack_of(node):
                    self._calls.setdefault(tuple(held[:2]), {})[node] = None
        return self._calls.get(tuple(call[:2]), {}).keys()

    def results_of(self, call: Call) -> list[fx.Node]:
        """Return the nodes of a call that a node outside the call reads."""
        inside = self.inside(call)
        own = [node for node in inside if node.op.startswith("call_")]
        return [
            node for node in own if any(user not in inside or not user.op.startswith("call_") for user in node.users)
        ]

    def between(self, ends: Collection[fx.Node], starts: Collection[fx.Node]) -> list[fx.Node]:
        """Return the nodes to compute to get from the values ``starts`` to the values ``ends``, in order."""
        needed: set[fx.Node] = set()
        waiting = list(ends)
        while waiting:
            node = waiting.pop()
            if node not in needed and node not in starts:
                needed.add(node)
                waiting += node.all_input_nodes
        return [node for node in self.graph.nodes if node in needed]

    def resume(self, known: Values, nodes: list[fx.Node], instead: Mapping[fx.Node, Tensor]) -> Values:
        """Compute the values of ``nodes``, in order; known values are not computed again."""
        values: Values = {**known, **instead}
        with torch.no_grad():
            for node in nodes:
                if node in values or node.op == "placeholder":
                    continue
                if node.op == "output":
                    values[node] = fx.node.map_arg(node.args[0], values.__getitem__)
                elif node in self._constants and not instead:
                    values[node] = self.value(node)
                else:
                    values[node] = _evaluated(node, self.module, values)
        return values


def _evaluated(node: fx.Node, module: fx.GraphModule, values: Values) -> Any:
    with torch.no_grad():
        value = evaluated(node, module, values)
    # Convert parameters to float64, and undo casts to a narrower type.
    own = not node.all_input_nodes or is_(node, "cast")
    return value.detach().double() if own and isinstance(value, Tensor) and value.is_floating_point() else value


class _Held:
    """A graph and the module that holds its tensors; a ``GraphModule`` would generate code that is never run."""

    def __init__(self, owner: fx.GraphModule, graph: fx.Graph) -> None:
        self.graph = graph
        self.get_submodule = owner.get_submodule

    def recompile(self) -> None:
        """Do nothing: there is no code."""


def _copy(module: fx.GraphModule) -> fx.GraphModule:
    """Return a copy of the graph that shares the tensors."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    return cast("fx.GraphModule", _Held(module, graph))
