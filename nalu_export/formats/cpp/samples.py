"""Runs a graph with a few samples to find the shapes of its values, and to check that samples do not mix."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from nalu_export.errors import UnsupportedLayerError
from nalu_export.formats.cpp.moves import Index, Shape, moved
from nalu_export.formats.cpp.types import Integers, type_of
from nalu_export.graph import primitive_of
from nalu_export.graph.evaluation import constant
from nalu_export.primitives import Conditioned
from nalu_export.primitives.precision import FLOAT32

# Number of samples of the run; not 1, which is the size of many axes of constants.
SAMPLES = 3


@dataclass
class Samples:
    """What a run finds about the nodes that depend on an input.

    Attributes:
        shapes: shape of each node, without the axis of the samples.
        masks: the nodes that are truth values.
        moves: for each node that moves numbers, where they come from; see :func:`moves.moved`.
        least: for all nodes in ``shapes`` and for constants, a lower limit of all their numbers that are not NaN.
        integers: the nodes that are integers of an input, with the name of that input.
        results: outputs of the run.
    """

    shapes: dict[fx.Node, Shape] = field(default_factory=dict)
    masks: set[fx.Node] = field(default_factory=set)
    moves: dict[fx.Node, Index] = field(default_factory=dict)
    least: dict[fx.Node, float] = field(default_factory=dict)
    integers: dict[fx.Node, str] = field(default_factory=dict)
    results: dict[fx.Node, torch.Tensor] = field(default_factory=dict)


def name_of(node: fx.Node) -> str:
    """Return the name of a node's primitive; empty for inputs and weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.name


def kind_of(node: fx.Node) -> str:
    """Return the kind of a node's primitive; empty for inputs and weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.kind


def read_samples(
    form: fx.GraphModule, shapes: Sequence[Shape], dtypes: Sequence[str] = (), names: Sequence[str] = ()
) -> Samples:
    """Run a graph with a few samples.

    Args:
        form: graph with any number of inputs and outputs.
        shapes: shape of one sample of each input.
        dtypes: numpy's name of the type of each input; ``"float32"`` by default.
        names: name of each input in messages; by default its name in the graph.

    Raises:
        UnsupportedLayerError: the graph computes across the samples of a batch or with integers, or has an empty value.
    """
    return _Reader(form).read(_drawn(form, shapes, dtypes, names))


def _drawn(
    form: fx.GraphModule, shapes: Sequence[Shape], dtypes: Sequence[str], names: Sequence[str]
) -> dict[fx.Node, tuple[str, torch.Tensor]]:
    """Make samples of each input; return them with the name of the input."""
    nodes = [node for node in form.graph.nodes if node.op == "placeholder"]
    called = list(names or (str(node.target) for node in nodes))
    types = [type_of(dtype, name) for dtype, name in zip(dtypes or ["float32"] * len(nodes), called, strict=True)]
    return {
        node: (name, torch.ones(SAMPLES, *shape, dtype=dtype))
        for node, name, shape, dtype in zip(nodes, called, shapes, types, strict=True)
    }


class _Reader:
    """Runs a graph node by node."""

    def __init__(self, form: fx.GraphModule) -> None:
        self._form, self._found, self._integers = form, Samples(), Integers()
        self._seen: dict[fx.Node, Any] = {}

    def read(self, inputs: dict[fx.Node, tuple[str, torch.Tensor]]) -> Samples:
        for node in self._form.graph.nodes:
            if node.op == "placeholder":
                name, self._seen[node] = inputs[node]
                self._integers.given(node, self._seen[node], name)
                self._add(node)
            elif node.op == "get_attr":
                self._constant(node)
            elif node.op == "output":
                self._found.results = {result: self._seen[result] for result in results_of(node)}
                self._found.integers = self._integers.names
            else:
                self._call(node)
        return self._found

    def _constant(self, node: fx.Node) -> None:
        value = self._seen[node] = constant(self._form, str(node.target))
        lowest = value.double().nan_to_num(nan=-math.inf, neginf=-math.inf)
        self._found.least[node] = float(lowest.min()) if value.numel() else -math.inf

    def _call(self, node: fx.Node) -> None:
        assert callable(node.target)
        try:
            self._seen[node] = node.target(*fx.node.map_arg(node.args, self._seen.__getitem__))
        except RuntimeError as error:
            # The shapes fit only for one number of samples.
            raise _across(node) from error
        if kind_of(node) == "cast" and node.all_input_nodes[0] not in self._found.shapes:
            return  # a constant in the type of the output
        self._integers.follow(node, self._seen[node])
        self._add(node)

    def _add(self, node: fx.Node) -> None:
        value, found = self._seen[node], self._found
        if value.shape[:1] != (SAMPLES,) or _mixes(node, self._seen, found):
            raise _across(node)
        if value.numel() == 0:
            what = name_of(node) or "an input"
            raise UnsupportedLayerError(f"{what} has no numbers; a C++ header needs at least one")
        found.shapes[node] = tuple(value.shape[1:])
        found.least[node] = _least(node, found.least)
        if value.dtype == torch.bool:
            found.masks.add(node)


def results_of(output: fx.Node) -> tuple[fx.Node, ...]:
    """Return the nodes that an output node gives."""
    (given,) = output.args
    results = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    assert all(isinstance(result, fx.Node) for result in results)
    return results


def _across(node: fx.Node) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{name_of(node)} computes across the samples of a batch, which a C++ header cannot do; "
        "an arithmetic layer has to treat each sample separately"
    )


def _least(node: fx.Node, known: dict[fx.Node, float]) -> float:
    """Apply the ``least`` rule of a node's primitive, which looks only at the lower limits of the arguments."""
    primitive = primitive_of(node)
    if primitive is None:
        return -math.inf
    if primitive.kind in ("shape", "cast"):
        return min(known[argument] for argument in node.all_input_nodes)
    if primitive.least is None:
        return -math.inf
    exact = Conditioned.exact(torch.zeros(()))
    given: dict[fx.Node, Any] = {argument: replace(exact, least=known[argument]) for argument in node.all_input_nodes}
    return primitive.least(FLOAT32, *fx.node.map_arg(node.args, given.__getitem__))


def _mixes(node: fx.Node, seen: dict[fx.Node, Any], found: Samples) -> bool:
    """Return whether a node reduces or moves the axis of the samples, or uses another constant for each sample."""
    name, kind = name_of(node), kind_of(node)
    if kind == "shape":
        return _moves_samples(node, found)
    if kind == "reduction":
        return 0 in reduced_axes(node, seen[node.all_input_nodes[0]].ndim)
    if name == "linear":
        # A weight that is computed from the samples mixes them. An input of one axis is a vector across the samples.
        made = any(isinstance(argument, fx.Node) and argument.op != "get_attr" for argument in node.args[1:])
        return made or seen[node.all_input_nodes[0]].ndim < 2
    if name == "matmul":
        return _multiplies_samples(node, seen)
    rank = seen[node].ndim
    return any(
        seen[argument].ndim >= rank and seen[argument].shape[0] != 1
        if argument.op == "get_attr"
        else seen[argument].ndim != rank
        for argument in node.all_input_nodes
    )


def _moves_samples(node: fx.Node, found: Samples) -> bool:
    if any(argument.op == "get_attr" for argument in node.all_input_nodes):
        # A constant has no axis of the samples that could be moved with that of the other arguments.
        return True
    index = moved(node, found.shapes, SAMPLES)
    if index is not None:
        found.moves[node] = index
    return index is None


def reduced_axes(node: fx.Node, rank: int) -> list[int]:
    """Return the axes that a reduction goes over; axis 0 is that of the samples."""
    dims = node.args[1]
    if dims is None or dims == [] or dims == ():
        return list(range(rank))
    given = [dims] if isinstance(dims, int) else list(dims)  # type: ignore[arg-type]
    return sorted(dim % rank for dim in given)


def _multiplies_samples(node: fx.Node, seen: dict[fx.Node, Any]) -> bool:
    """Return whether a product sums over the samples, or pairs them with an axis of the other factor."""
    left, right = node.args[:2]
    for factor, other in ((left, right), (right, left)):
        assert isinstance(factor, fx.Node)
        assert isinstance(other, fx.Node)
        value, against = seen[factor], seen[other]
        if factor.op == "get_attr":
            if value.ndim == against.ndim and value.ndim > 2 and value.shape[0] != 1:
                return True
            continue
        # Samples may be the rows of one left matrix, if the right factor is a constant. Otherwise the axis of the
        # samples has to be a leading axis, before the matrices.
        rows = factor is left and other.op == "get_attr" and against.ndim <= 2
        alike = against.ndim <= value.ndim if other.op == "get_attr" else against.ndim == value.ndim
        if value.ndim < (2 if rows else 3) or not alike:
            return True
    return False
