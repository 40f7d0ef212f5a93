"""Collects the effective weights, gates and ε of a graph by the module that computes them."""

import weakref
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
# What was read of a model; an export needs it for the metadata and for the report.
_READ: "weakref.WeakKeyDictionary[ModelGraph, tuple[Reading, ...]]" = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class Layer:
    """The weights, gates and ε in the ``forward`` of one module, without those of the modules that it calls.

    Attributes:
        path: path of the module in the model.
        call: its first call.
        weights: effective weights that multiply data.
        gates: its gates.
        epsilons: the ε in its logarithms and powers.
    """

    path: str
    call: Call
    weights: tuple[Weight, ...] = ()
    gates: tuple[Gate, ...] = ()
    epsilons: tuple[Epsilon, ...] = ()

    @property
    def type(self) -> type[nn.Module]:
        """Class of the module."""
        return self.call.type

    def within(self, name: str) -> str:
        """Return a name relative to the path of the layer, or in full if it belongs to another module."""
        return name.removeprefix(f"{self.path}.") if self.path else name


@dataclass(frozen=True)
class Reading:
    """What was found in an arithmetic subgraph.

    Attributes:
        name: name of the subgraph.
        form: the graph that the nodes in ``layers`` belong to.
        layers: its layers, in order of computation.
        is_region: whether the subgraph is a part of a forward, not a whole module.
    """

    name: str
    form: Form
    layers: tuple[Layer, ...]
    is_region: bool = False

    def tensor(self, weight: Weight) -> str:
        """Return the name of a weight in a folded file; ``"W[0:2]"`` for rows of a larger tensor."""
        product = weight.product
        rows = "" if product.rows is None else "[{}:{}]".format(*product.rows)
        return self.form.names[product.read] + rows


def read(graph: ModelGraph) -> tuple[Reading, ...]:
    """Return the effective weights, gates and ε of each arithmetic subgraph of a model; it is read once."""
    if graph not in _READ:
        _READ[graph] = tuple(
            replace(reading_of(name, Form.of(subgraph), subgraph.outer), is_region=bool(name) and subgraph.path is None)
            for name, subgraph in graph.subgraphs.items()
        )
    return _READ[graph]


def reading_of(name: str, form: Form, outer: str = "") -> Reading:
    """Return the reading of one graph.

    Args:
        name: name of the subgraph.
        form: its graph.
        outer: prefix of the paths of its modules that the names of its parameters lack.
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
    """Yield the items of a layer's first call; later calls would repeat them."""
    return (item for item in items if item.call[:2] == call[:2])


def _inner(path: str, outer: str) -> str:
    return "" if f"{path}." == outer else path.removeprefix(outer)
