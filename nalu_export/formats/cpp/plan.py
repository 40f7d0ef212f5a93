"""The plan of a header: the stages that compute the arithmetic subgraph, and where values are held between stages.

A *stage* is one pass over the features of a shape. It computes the sums that it reads (``linear``) and all elementwise
operations on them. A gate and both of its paths therefore stay in registers and need no memory.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import fx

from nalu_export.formats.cpp.moves import Index, Shape

# The size of a place is rounded up to a multiple of this: the float32 numbers in a cache line.
LINE = 16


@dataclass(eq=False)
class Value:
    """Numbers that have a place of their own in memory.

    Attributes:
        node: the node that computes them.
        shape: shape in which one sample of them is held.
        copied: whether this is a copy of the node's numbers in another order.
    """

    node: fx.Node
    shape: Shape
    copied: bool = False

    @property
    def count(self) -> int:
        """Numbers for each sample."""
        return math.prod(self.shape)


class Read(NamedTuple):
    """How a node reads one of its arguments: from number ``first`` of a value on.

    Attributes:
        value: the numbers.
        first: place of the first number that is read.
        shared: whether only this number is read, again and again.
    """

    value: Value
    first: int = 0
    shared: bool = False


class Piece(NamedTuple):
    """Numbers that are copied from the places ``source`` of a value to the places ``target`` of another value."""

    value: Value
    source: Index
    target: Index


@dataclass
class Stage:
    """One pass over the features.

    Attributes:
        kind: ``"tiles"``, or the name of an operation that has a pass of its own: ``"rows"`` (a ``linear`` of several
            rows), ``"reduce"``, ``"matmul"``, ``"copy"`` (numbers in another order, or repeated) or ``"constant"`` (an
            output that is the same for every input).
        shape: shape of its values, without the axis of the samples.
        nodes: nodes that it computes, in order.
        outputs: its values that a later stage reads or that are outputs of the plan.
        pieces: parts that a copy is put together from.
        sizes: of a reduction: products of the sizes before, on and after the reduced axes.
    """

    kind: str
    shape: Shape
    nodes: list[fx.Node] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    sizes: tuple[int, int, int] = (1, 1, 1)

    @property
    def count(self) -> int:
        """Numbers for each sample."""
        return math.prod(self.shape)


@dataclass
class Plan:
    """A graph, divided into stages.

    Attributes:
        form: the graph.
        shapes: shapes of all nodes that depend on an input, without the axis of the samples.
        masks: the nodes among these that are truth values, which a header holds as 1 and 0.
        least: for all nodes in ``shapes`` and for constants, a lower limit of all their numbers that are not NaN.
        stages: the stages, in order.
        inputs: values of the inputs.
        outputs: values of the outputs; the same value may be several outputs.
        results: the node of each output.
        reads: for a node and an argument that depends on an input, how the node reads the argument.
        places: place of each value that a later stage reads, counted in numbers of one sample.
        size: numbers of one sample that all places take together.
    """

    form: fx.GraphModule
    shapes: dict[fx.Node, Shape]
    masks: set[fx.Node]
    least: dict[fx.Node, float]
    stages: list[Stage]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...] = ()
    results: tuple[fx.Node, ...] = ()
    reads: dict[tuple[fx.Node, fx.Node], Read] = field(default_factory=dict)
    places: dict[Value, int] = field(default_factory=dict)
    size: int = 0


def reads(found: Plan, stage: Stage) -> list[Value]:
    """Return the values of other stages that a stage reads, each once."""
    wanted = dict.fromkeys(piece.value for piece in stage.pieces)
    for node in stage.nodes:
        for argument in node.all_input_nodes:
            read = found.reads.get((node, argument))
            if read is not None and read.value.node not in stage.nodes:
                wanted[read.value] = None
    return list(wanted)


def place(found: Plan) -> None:
    """Give a place to each value that a later stage reads.

    A value gets the first gap that is free from the stage that computes it to the last stage that reads it.
    """
    last = dict.fromkeys(found.outputs, len(found.stages))
    for number, stage in enumerate(found.stages):
        for value in reads(found, stage):
            last[value] = max(last.get(value, 0), number)
    made = [(value, -1) for value in found.inputs]
    made += [(value, k) for k, stage in enumerate(found.stages) for value in stage.outputs]
    held: list[tuple[int, int, int]] = []  # first number, one past the last, stage until which it is held
    for value, now in made:
        held = [other for other in held if other[2] >= now]
        size = -(-value.count // LINE) * LINE
        first = _first_gap(sorted((other[0], other[1]) for other in held), size)
        held.append((first, first + size, last.get(value, now)))
        found.places[value] = first
        found.size = max(found.size, first + size)


def _first_gap(taken: Iterable[tuple[int, int]], size: int) -> int:
    start = 0
    for first, end in taken:
        if first - start >= size:
            break
        start = max(start, end)
    return start
