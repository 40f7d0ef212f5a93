"""Everything that is read off a graph, by the module that computes it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from torch import nn

from nalu_export.graph.capture import ModelGraph
from nalu_export.graph.places import Call
from nalu_export.graph.reading._nodes import layer_of
from nalu_export.graph.reading.epsilons import Epsilon, epsilons
from nalu_export.graph.reading.form import Form
from nalu_export.graph.reading.gates import Gate, gates
from nalu_export.graph.reading.weights import Weight, weights

_Item = TypeVar("_Item", Weight, Gate, Epsilon)


@dataclass(frozen=True)
class Layer:
    """A module with what its own ``forward`` does; what it calls is a layer of its own.

    Attributes:
        path: of the module in the model.
        call: of it, the first of several.
        weights: by which it multiplies data.
        gates: that it computes.
        epsilons: inside of its logarithms and powers.
    """

    path: str
    call: Call
    weights: tuple[Weight, ...] = ()
    gates: tuple[Gate, ...] = ()
    epsilons: tuple[Epsilon, ...] = ()

    @property
    def type(self) -> type[nn.Module]:
        """Its class."""
        return self.call.type

    def within(self, name: str) -> str:
        """A name after the path of the layer, or in full where it is of another module."""
        return name.removeprefix(f"{self.path}.") if self.path else name


@dataclass(frozen=True)
class Reading:
    """An arithmetic subgraph, read.

    Attributes:
        name: of the subgraph.
        form: the graph that the nodes below are of.
        layers: in order of computation.
        is_region: whether it is part of a forward, and no module of its own.
    """

    name: str
    form: Form
    layers: tuple[Layer, ...]
    is_region: bool = False

    def tensor(self, weight: Weight) -> str:
        """What a folded file calls a weight; ``"W[0:2]"`` for rows of a larger one."""
        product = weight.product
        rows = "" if product.rows is None else "[{}:{}]".format(*product.rows)
        return self.form.names[product.read] + rows


def read(graph: ModelGraph) -> list[Reading]:
    """Effective weights, gates and ε of each arithmetic subgraph of a model."""
    return [
        replace(reading_of(name, Form.of(subgraph), subgraph.outer), is_region=bool(name) and subgraph.path is None)
        for name, subgraph in graph.subgraphs.items()
    ]


def reading_of(name: str, form: Form, outer: str = "") -> Reading:
    """That of one graph.

    Args:
        name: of the subgraph.
        form: its graph.
        outer: what stands before the paths of its modules that is not in the names of its parameters.
    """
    found_gates = gates(form)
    found_weights = weights(form, {node for gate in found_gates for node in gate.own})
    found_epsilons = epsilons(form)
    calls: dict[str, Call] = {}
    for node in form.graph.nodes:
        if node.op.startswith("call_") and not form.is_constant(node):
            call = layer_of(node)
            calls.setdefault(call.path, call)
    return Reading(
        name,
        form,
        tuple(
            Layer(
                _inner(call.path, outer),
                call,
                tuple(_of(call, found_weights)),
                tuple(_of(call, found_gates)),
                tuple(_of(call, found_epsilons)),
            )
            for call in calls.values()
        ),
    )


def _of(call: Call, items: Iterable[_Item]) -> Iterator[_Item]:
    """What a layer has; in its first call, for the others are the same once more."""
    return (item for item in items if item.call[:2] == call[:2])


def _inner(path: str, outer: str) -> str:
    return "" if f"{path}." == outer else path.removeprefix(outer)
