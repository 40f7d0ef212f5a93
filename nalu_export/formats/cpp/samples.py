"""What a graph computes of one sample: shapes of its values, found by a run, and that no sample sees another."""

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

# Any number that no axis of a constant has by chance.
SAMPLES = 3


@dataclass
class Samples:
    """The values that depend on an input.

    Attributes:
        shapes: of each, without the samples.
        masks: those that are true or false.
        moves: for each primitive that moves numbers where they come from, see :func:`_cpp_moves.moved`.
        least: of these and of constants a number that none of their numbers is below, unless it is NaN.
        integers: those that are integers of an input, by its name.
        results: what the graph gave.
    """

    shapes: dict[fx.Node, Shape] = field(default_factory=dict)
    masks: set[fx.Node] = field(default_factory=set)
    moves: dict[fx.Node, Index] = field(default_factory=dict)
    least: dict[fx.Node, float] = field(default_factory=dict)
    integers: dict[fx.Node, str] = field(default_factory=dict)
    results: dict[fx.Node, torch.Tensor] = field(default_factory=dict)


def name_of(node: fx.Node) -> str:
    """Name of a node's primitive, empty for inputs and for weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.name


def kind_of(node: fx.Node) -> str:
    """Kind of a node's primitive, empty for inputs and for weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.kind


def read_samples(
    form: fx.GraphModule, shapes: Sequence[Shape], dtypes: Sequence[str] = (), names: Sequence[str] = ()
) -> Samples:
    """Run a graph with a few samples.

    Args:
        form: any number of inputs and outputs.
        shapes: of one sample of each input.
        dtypes: of each input, as numpy calls them; ``"float32"`` by default.
        names: of each input, for messages; by default those that the graph has for them.

    Raises:
        UnsupportedLayerError: it computes across the samples of a batch or with integers, or has values without
            numbers.
    """
    return _Reader(form).read(_drawn(form, shapes, dtypes, names))


def _drawn(
    form: fx.GraphModule, shapes: Sequence[Shape], dtypes: Sequence[str], names: Sequence[str]
) -> dict[fx.Node, tuple[str, torch.Tensor]]:
    """Samples of each input, with its name."""
    nodes = [node for node in form.graph.nodes if node.op == "placeholder"]
    called = list(names or (str(node.target) for node in nodes))
    types = [type_of(dtype, name) for dtype, name in zip(dtypes or ["float32"] * len(nodes), called, strict=True)]
    return {
        node: (name, torch.ones(SAMPLES, *shape, dtype=dtype))
        for node, name, shape, dtype in zip(nodes, called, shapes, types, strict=True)
    }


class _Reader:
    """A run through a graph."""

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
            # Shapes that fit for one number of samples alone.
            raise _across(node) from error
        if kind_of(node) == "cast" and node.all_input_nodes[0] not in self._found.shapes:
            return  # a constant in the type in which it is handed on
        self._integers.follow(node, self._seen[node])
        self._add(node)

    def _add(self, node: fx.Node) -> None:
        value, found = self._seen[node], self._found
        if value.shape[:1] != (SAMPLES,) or _mixes(node, self._seen, found):
            raise _across(node)
        if value.numel() == 0:
            what = name_of(node) or "an input"
            raise UnsupportedLayerError(f"{what} gives no numbers at all, which a header cannot hold")
        found.shapes[node] = tuple(value.shape[1:])
        found.least[node] = _least(node, found.least)
        if value.dtype == torch.bool:
            found.masks.add(node)


def results_of(output: fx.Node) -> tuple[fx.Node, ...]:
    """What an output node gives: one value or several."""
    (given,) = output.args
    results = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    assert all(isinstance(result, fx.Node) for result in results)
    return results


def _across(node: fx.Node) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{name_of(node)} computes across the samples of a batch, which a header cannot; "
        "an arithmetic layer treats every sample alone"
    )


def _least(node: fx.Node, known: dict[fx.Node, float]) -> float:
    """From the rule of a primitive, which reads nothing else of its arguments."""
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
    """Whether it reduces or moves the axis of the samples, or gives each sample a constant of its own."""
    name, kind = name_of(node), kind_of(node)
    if kind == "shape":
        return _moves_samples(node, found)
    if kind == "reduction":
        return 0 in reduced_axes(node, seen[node.all_input_nodes[0]].ndim)
    if name == "linear":
        # A matrix that is computed from the samples has rows from each of them; one number of each is a vector.
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
        # A constant has no samples that could be moved along with the others.
        return True
    index = moved(node, found.shapes, SAMPLES)
    if index is not None:
        found.moves[node] = index
    return index is None


def reduced_axes(node: fx.Node, rank: int) -> list[int]:
    """The axes that a reduction goes over, that of the samples counted as 0."""
    dims = node.args[1]
    if dims is None or dims == [] or dims == ():
        return list(range(rank))
    given = [dims] if isinstance(dims, int) else list(dims)  # type: ignore[arg-type]
    return sorted(dim % rank for dim in given)


def _multiplies_samples(node: fx.Node, seen: dict[fx.Node, Any]) -> bool:
    """Whether the samples are summed over, or stand against an axis of the other factor."""
    left, right = node.args[:2]
    for factor, other in ((left, right), (right, left)):
        assert isinstance(factor, fx.Node)
        assert isinstance(other, fx.Node)
        value, against = seen[factor], seen[other]
        if factor.op == "get_attr":
            if value.ndim == against.ndim and value.ndim > 2 and value.shape[0] != 1:
                return True
            continue
        # Samples may be the rows of a matrix that all of them are multiplied with; else they come before the matrices.
        rows = factor is left and other.op == "get_attr" and against.ndim <= 2
        alike = against.ndim <= value.ndim if other.op == "get_attr" else against.ndim == value.ndim
        if value.ndim < (2 if rows else 3) or not alike:
            return True
    return False
