"""In which order a header computes the arithmetic graph: stages, and the places of what goes from one to the next.

A *stage* is one pass over the features of a shape: the sums that it reads (``linear``) and everything that is computed
number by number from them, so that a gate and both of its paths stay in registers and need no memory of their own.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from nalu_export.errors import UnsupportedLayerError
from nalu_export.graph import primitive_of
from nalu_export.graph.evaluation import constant

Shape = tuple[int, ...]
# Any number that no axis of a constant has by chance.
SAMPLES = 3
# Numbers of a place are rounded up to a cache line of float32.
LINE = 16
# The same numbers in the same order.
ALIASES = ("cast", "unsqueeze")


@dataclass
class Stage:
    """One pass.

    Attributes:
        kind: ``"tiles"``, or the name of what has a pass of its own: ``"rows"`` (a ``linear`` of several rows),
            ``"prod"`` or ``"expand"`` (a value repeated along some axes).
        shape: of its values, without the samples.
        nodes: what it computes, in order; of ``"expand"`` the value itself.
        outputs: those of them that something after it reads.
    """

    kind: str
    shape: Shape
    nodes: list[fx.Node] = field(default_factory=list)
    outputs: list["Value"] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Numbers for each sample."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Value:
    """A node's numbers as they are, or repeated.

    Attributes:
        node: what computes them.
        shape: in which they are held.
        view: the shape that was repeated to ``shape``, ``None`` for numbers as they are.
    """

    node: fx.Node
    shape: Shape
    view: Shape | None = None

    @property
    def count(self) -> int:
        """Numbers for each sample."""
        return math.prod(self.shape)


@dataclass
class Plan:
    """A graph in stages.

    Attributes:
        form: the graph.
        shapes: of every node that depends on the input, without the samples.
        stages: in order.
        input: what goes in.
        output: what comes out.
        places: where each value that is passed on stands, in numbers of each sample.
        size: numbers of each sample that all of them take.
    """

    form: fx.GraphModule
    shapes: dict[fx.Node, Shape]
    stages: list[Stage]
    input: Value
    output: Value
    places: dict[Value, int] = field(default_factory=dict)
    size: int = 0

    def source(self, node: fx.Node) -> fx.Node:
        """The node whose numbers these are."""
        while name_of(node) in ALIASES:
            node = node.args[0]  # type: ignore[assignment]
        return node


def name_of(node: fx.Node) -> str:
    """Name of a node's primitive, empty for the input and for weights."""
    primitive = primitive_of(node)
    return "" if primitive is None else primitive.name


def plan(form: fx.GraphModule, features: Shape) -> Plan:
    """The stages of a well-conditioned inference form.

    Args:
        form: one input, one output.
        features: shape of one sample of its input.

    Raises:
        UnsupportedLayerError: it computes across the samples of a batch.
    """
    return _Planner(form, features).plan()


class _Planner:
    def __init__(self, form: fx.GraphModule, features: Shape) -> None:
        self._form = form
        self._shapes = _sample_shapes(form, features)
        source = next(node for node in form.graph.nodes if node.op == "placeholder")
        self._plan = Plan(form, self._shapes, [], Value(source, features), Value(source, features))
        # Stage in which each node is computed; that of the input is before all.
        self._made: dict[fx.Node, int] = {source: -1}
        self._expanded: dict[Value, int] = {}

    def plan(self) -> Plan:
        for node in self._form.graph.nodes:
            name = name_of(node)
            if node.op == "output":
                result = self._plan.source(node.args[0])
                self._stage_of(result)
                self._plan.output = Value(result, self._shapes[result])
            elif node not in self._shapes or node.op == "placeholder" or name in (*ALIASES, "linear"):
                # A sum is computed in the first stage that reads it.
                continue
            elif name == "prod":
                self._stage_of(self._plan.source(node.all_input_nodes[0]))
                self._made[node] = self._alone("prod", node)
            else:
                self._elementwise(node)
        self._find_outputs()
        self._place()
        return self._plan

    def _alone(self, kind: str, node: fx.Node, shape: Shape | None = None) -> int:
        self._plan.stages.append(Stage(kind, shape or self._shapes[node], [node]))
        return len(self._plan.stages) - 1

    def _stage_of(self, node: fx.Node) -> int:
        """Stage after which the node's value can be read; a sum that nothing has read yet gets one."""
        chain = [node]
        while chain[-1] not in self._made:
            chain.append(self._plan.source(chain[-1].all_input_nodes[0]))
        for new in chain[-2::-1]:
            self._made[new] = self._alone("rows" if _rows(self._shapes[new]) > 1 else "tiles", new)
        return self._made[node]

    def _elementwise(self, node: fx.Node) -> None:
        """Put it into the last stage of its shape that comes after everything it reads, or into a new one."""
        shape = self._shapes[node]
        earliest, sums = 0, []
        for argument in node.all_input_nodes:
            if argument not in self._shapes:
                continue
            source, view = self._plan.source(argument), self._shapes[argument]
            if name_of(argument) == "linear" and argument not in self._made and view == shape and _rows(shape) == 1:
                sums.append(argument)
                earliest = max(earliest, self._stage_of(self._plan.source(argument.all_input_nodes[0])) + 1)
                continue
            made = self._stage_of(source)
            held = held_as(self._plan, node, argument)
            if held.view is not None:
                made = self._expand(held)
            inside = view == shape and made >= 0 and self._plan.stages[made].kind == "tiles"
            earliest = max(earliest, made if inside else made + 1)
        stages = self._plan.stages
        fitting = (k for k in range(len(stages) - 1, earliest - 1, -1) if stages[k].shape == shape)
        found = next((k for k in fitting if stages[k].kind == "tiles"), None)
        if found is None:
            stages.append(Stage("tiles", shape))
            found = len(stages) - 1
        for new in (*sums, node):
            stages[found].nodes.append(new)
            self._made[new] = found

    def _expand(self, value: Value) -> int:
        if value not in self._expanded:
            self._expanded[value] = self._alone("expand", value.node, value.shape)
        return self._expanded[value]

    def _find_outputs(self) -> None:
        """What each stage has to leave behind for those after it."""
        read: dict[Value, None] = {self._plan.output: None}
        for stage in self._plan.stages:
            read |= dict.fromkeys(reads(self._plan, stage))
        for value in read:
            if value != self._plan.input:
                stages = self._plan.stages
                found = self._expanded[value] if value in self._expanded else self._made[value.node]
                stages[found].outputs.append(value)

    def _place(self) -> None:
        """First fit over the time from when a value is made to when it is last read."""
        stages = self._plan.stages
        last = {self._plan.output: len(stages)}
        for number, stage in enumerate(stages):
            for value in reads(self._plan, stage):
                last[value] = max(last.get(value, 0), number)
        made = [(self._plan.input, -1)] + [(value, k) for k, stage in enumerate(stages) for value in stage.outputs]
        held: list[tuple[int, int, int]] = []  # first number, one past the last, stage until which it is held
        for value, now in made:
            held = [place for place in held if place[2] >= now]
            size = -(-value.count // LINE) * LINE
            first = _first_gap(sorted((place[0], place[1]) for place in held), size)
            held.append((first, first + size, last.get(value, now)))
            self._plan.places[value] = first
            self._plan.size = max(self._plan.size, first + size)


def reads(found: Plan, stage: Stage) -> list[Value]:
    """The values of other stages that a stage reads, each once."""
    if stage.kind == "expand":
        (node,) = stage.nodes
        return [Value(node, found.shapes[node])]
    wanted: dict[Value, None] = {}
    for node in stage.nodes:
        for argument in node.all_input_nodes:
            if argument in found.shapes and (name_of(node) == "linear" or found.source(argument) not in stage.nodes):
                wanted[held_as(found, node, argument)] = None
    return list(wanted)


def held_as(found: Plan, node: fx.Node, argument: fx.Node) -> Value:
    """The value as which a node reads one of its arguments, where another stage computes that."""
    source, view = found.source(argument), found.shapes[argument]
    if name_of(node) in ("linear", "prod") or math.prod(view) == 1 or view == found.shapes[node]:
        return Value(source, found.shapes[source])
    return Value(source, found.shapes[node], view)


def _first_gap(taken: Iterable[tuple[int, int]], size: int) -> int:
    start = 0
    for first, end in taken:
        if first - start >= size:
            break
        start = max(start, end)
    return start


def _rows(shape: Shape) -> int:
    return math.prod(shape[:-1])


def _sample_shapes(form: fx.GraphModule, features: Shape) -> dict[fx.Node, Shape]:
    """Shapes of everything that depends on the input, from a run."""
    seen: dict[fx.Node, Any] = {}
    shapes: dict[fx.Node, Shape] = {}
    for node in form.graph.nodes:
        if node.op == "placeholder":
            seen[node] = torch.ones(SAMPLES, *features)
        elif node.op == "get_attr":
            seen[node] = constant(form, str(node.target))
            continue
        elif node.op == "output":
            break
        else:
            call: Callable[..., torch.Tensor] = node.target
            seen[node] = call(*fx.node.map_arg(node.args, seen.__getitem__))
        shapes[node] = tuple(seen[node].shape[1:])
        if seen[node].shape[:1] != (SAMPLES,) or _mixes(node, seen):
            raise UnsupportedLayerError(
                f"{name_of(node)} computes across the samples of a batch, which a header cannot; "
                "an arithmetic layer treats every sample alone"
            )
    return shapes


def _mixes(node: fx.Node, seen: dict[fx.Node, Any]) -> bool:
    """Whether it reduces or moves the axis of the samples, or gives each sample a constant of its own."""
    rank, name = seen[node].ndim, name_of(node)
    if name in ("prod", "unsqueeze"):
        dim = node.args[1]
        assert isinstance(dim, int)
        return bool(dim % (rank if name == "unsqueeze" else seen[node.all_input_nodes[0]].ndim) == 0)
    if name == "linear":
        # A matrix that is computed from the samples has rows from each of them.
        return any(isinstance(argument, fx.Node) and argument.op != "get_attr" for argument in node.args[1:])
    return any(
        seen[argument].ndim >= rank and seen[argument].shape[0] != 1
        if argument.op == "get_attr"
        else seen[argument].ndim != rank
        for argument in node.all_input_nodes
    )
