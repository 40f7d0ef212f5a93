"""What a graph computes of one sample: shapes of its values, found by a run, and that no sample sees another."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import fx

from nalu_export.errors import UnsupportedLayerError
from nalu_export.formats._cpp_moves import Index, Shape, moved
from nalu_export.graph import primitive_of
from nalu_export.graph.evaluation import constant
from nalu_export.primitives import Conditioned
from nalu_export.primitives.precision import FLOAT32

# Any number that no axis of a constant has by chance.
SAMPLES = 3


@dataclass
class Samples:
    """The values that depend on the input.

    Attributes:
        shapes: of each, without the samples.
        masks: those that are true or false.
        moves: for each primitive that moves numbers where they come from, see :func:`_cpp_moves.moved`.
        least: of these and of constants a number that none of their numbers is below, unless it is NaN.
    """

    shapes: dict[fx.Node, Shape] = field(default_factory=dict)
    masks: set[fx.Node] = field(default_factory=set)
    moves: dict[fx.Node, Index] = field(default_factory=dict)
    least: dict[fx.Node, float] = field(default_factory=dict)


def name_of(node: fx.Node) -> str:
    """Name of a node's primitive, empty for the input and for weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.name


def kind_of(node: fx.Node) -> str:
    """Kind of a node's primitive, empty for the input and for weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.kind


def read_samples(form: fx.GraphModule, features: Shape) -> Samples:
    """Run a graph with a few samples.

    Args:
        form: one input, one output.
        features: shape of one sample of its input.

    Raises:
        UnsupportedLayerError: it computes across the samples of a batch, or has values without numbers.
    """
    seen: dict[fx.Node, Any] = {}
    found = Samples()
    for node in form.graph.nodes:
        if node.op == "placeholder":
            seen[node] = torch.ones(SAMPLES, *features)
        elif node.op == "get_attr":
            seen[node] = constant(form, str(node.target))
            found.least[node] = float(seen[node].double().nan_to_num(nan=-math.inf, neginf=-math.inf).min())
            continue
        elif node.op == "output":
            break
        else:
            call: Callable[..., torch.Tensor] = node.target
            try:
                seen[node] = call(*fx.node.map_arg(node.args, seen.__getitem__))
            except RuntimeError as error:
                # Shapes that fit for one number of samples alone.
                raise _across(node) from error
        if seen[node].shape[:1] != (SAMPLES,) or _mixes(node, seen, found):
            raise _across(node)
        if seen[node].numel() == 0:
            raise UnsupportedLayerError(f"{name_of(node)} gives no numbers at all, which a header cannot hold")
        found.shapes[node] = tuple(seen[node].shape[1:])
        found.least[node] = _least(node, found.least)
        if seen[node].dtype == torch.bool:
            found.masks.add(node)
    return found


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
        # A matrix that is computed from the samples has rows from each of them.
        return any(isinstance(argument, fx.Node) and argument.op != "get_attr" for argument in node.args[1:])
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
