"""In which order a header computes the arithmetic graph: stages, and the places of what goes from one to the next.

A *stage* is one pass over the features of a shape: the sums that it reads (``linear``) and everything that is computed
number by number from them, so that a gate and both of its paths stay in registers and need no memory of their own.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import fx

from nalu_export.formats.cpp.moves import Index, Shape

# Numbers of a place are rounded up to a cache line of float32.
LINE = 16


@dataclass(eq=False)
class Value:
    """Numbers that have a place of their own.

    Attributes:
        node: what computes them.
        shape: in which they are held.
        copied: whether this is a copy of them in another order.
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
        first: the first of them.
        shared: that this one number is read again and again.
    """

    value: Value
    first: int = 0
    shared: bool = False


class Piece(NamedTuple):
    """Numbers that are copied, one to each place."""

    value: Value
    source: Index
    target: Index


@dataclass
class Stage:
    """One pass.

    Attributes:
        kind: ``"tiles"``, or the name of what has a pass of its own: ``"rows"`` (a ``linear`` of several rows),
            ``"reduce"``, ``"matmul"``, ``"copy"`` (numbers in another order, or repeated) or ``"constant"`` (an output
            that is the same for every input).
        shape: of its values, without the samples.
        nodes: what it computes, in order.
        outputs: those of them that something after it reads.
        pieces: what a copy is put together from.
        sizes: of a reduction: numbers before the axis that it goes over, on it, and after it.
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
    """A graph in stages.

    Attributes:
        form: the graph.
        shapes: of every node that depends on an input, without the samples.
        masks: those of them that are true or false, which a header holds as 1 and 0.
        least: of them and of constants a number that none of their numbers is below, unless it is NaN.
        stages: in order.
        inputs: what goes in.
        outputs: what comes out; the same value may do so twice.
        results: the node that each of them is.
        reads: how each node reads each of its arguments that depends on an input.
        places: where each value that is passed on stands, in numbers of each sample.
        size: numbers of each sample that all of them take.
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
    """The values of other stages that a stage reads, each once."""
    wanted = dict.fromkeys(piece.value for piece in stage.pieces)
    for node in stage.nodes:
        for argument in node.all_input_nodes:
            read = found.reads.get((node, argument))
            if read is not None and read.value.node not in stage.nodes:
                wanted[read.value] = None
    return list(wanted)


def place(found: Plan) -> None:
    """Give each value that is passed on a place: first fit over the time from its making to its last reading."""
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
