"""Puts every node of an arithmetic subgraph into a stage of a header."""

import math
from collections.abc import Sequence

import numpy as np
from torch import fx

from nalu_export.errors import UnsupportedLayerError
from nalu_export.formats.cpp.moves import Index, Shape, is_run, row_major
from nalu_export.formats.cpp.plan import Piece, Plan, Read, Stage, Value, place, reads
from nalu_export.formats.cpp.samples import Samples, kind_of, name_of, read_samples, reduced_axes, results_of
from nalu_export.formats.cpp.types import refuse_result
from nalu_export.graph.evaluation import constant


def plan(form: fx.GraphModule, shapes: Sequence[Shape], dtypes: Sequence[str] = (), names: Sequence[str] = ()) -> Plan:
    """Divide a well-conditioned inference form into stages.

    Args:
        form: graph with any number of inputs; its output is one value or a tuple of values.
        shapes: shape of one sample of each input.
        dtypes: numpy's name of the type of each input; ``"float32"`` by default.
        names: name of each input in messages; by default its name in the graph.

    Raises:
        UnsupportedLayerError: the form computes across the samples of a batch or with integers, or has an output that
            is not numbers of each sample.
    """
    return _Planner(form, read_samples(form, shapes, dtypes, names)).plan()


class _Planner:
    def __init__(self, form: fx.GraphModule, samples: Samples) -> None:
        self._form, self._samples, self._shapes = form, samples, samples.shapes
        sources = [node for node in form.graph.nodes if node.op == "placeholder"]
        given = tuple(Value(source, self._shapes[source]) for source in sources)
        self._plan = Plan(form, self._shapes, samples.masks, samples.least, [], given)
        # The value that holds a node's numbers, and their places in it.
        self._held: dict[fx.Node, tuple[Value, Index]] = {
            value.node: (value, row_major(value.shape)) for value in given
        }
        # The stage that computes each value; −1 for inputs.
        self._made: dict[Value, int] = dict.fromkeys(given, -1)
        self._copies: dict[tuple[Value, bytes], Value] = {}
        self._constants: dict[str, Value] = {}

    def plan(self) -> Plan:
        for node in self._form.graph.nodes:
            kind, name = kind_of(node), name_of(node)
            if node.op == "output":
                self._plan.results = results_of(node)
                self._plan.outputs = tuple(map(self._result, self._plan.results))
            elif node not in self._shapes or node.op == "placeholder":
                continue
            elif kind == "cast":
                self._held[node] = self._held[node.all_input_nodes[0]]
            elif kind == "shape":
                self._move(node)
            elif kind == "reduction":
                self._reduction(node)
            elif name == "linear":
                # The first stage that reads a linear computes it.
                self._value(node)
                self._read(node, node.all_input_nodes[0])
            elif name == "matmul":
                self._product(node)
            else:
                self._elementwise(node)
        self._find_outputs()
        place(self._plan)
        return self._plan

    def _result(self, node: fx.Node) -> Value:
        """Return the value that holds an output, and nothing else, in order; copy its numbers if there is none."""
        given, name = self._samples.results[node], self._samples.integers.get(node)
        if node not in self._shapes:
            refuse_result(given, name, passed=False)
            return self._constant(node)
        value, index = self._held[node]
        whole = value.count == index.size and is_run(index)
        refuse_result(given, name, passed=whole and value in self._plan.inputs)
        self._stage_of(value)
        return value if whole else self._copy(value, index)

    def _constant(self, node: fx.Node) -> Value:
        """Return the value of an output that depends on no input: the same numbers for each sample."""
        while node.op != "get_attr":
            (node,) = node.all_input_nodes  # a cast to the type of the output
        name = str(node.target)
        shape = tuple(constant(self._form, name).shape)
        if shape[:1] not in ((), (1,)) or 0 in shape:
            raise UnsupportedLayerError(
                f"the model returns a constant of shape {shape}, the same for every input; a C++ header returns "
                "numbers for each sample, so the first axis of the constant has to be 1"
            )
        if name not in self._constants:
            value = self._constants[name] = Value(node, shape[1:])
            self._alone(value, Stage("constant", value.shape))
        return self._constants[name]

    def _value(self, node: fx.Node) -> Value:
        value = Value(node, self._shapes[node])
        self._held[node] = value, row_major(value.shape)
        return value

    def _alone(self, value: Value, stage: Stage) -> None:
        """Add a stage that computes one value."""
        self._plan.stages.append(stage)
        self._made[value] = len(self._plan.stages) - 1

    def _stage_of(self, value: Value) -> int:
        """Return the stage after which a value can be read; a sum that no stage computes yet gets a stage."""
        chain = [value]
        while chain[-1] not in self._made:
            chain.append(self._summed(chain[-1]))
        for new in chain[-2::-1]:
            self._alone(new, Stage("rows" if _rows(new.shape) > 1 else "tiles", new.shape, [new.node]))
        return self._made[value]

    def _copy(self, value: Value, index: Index) -> Value:
        """Return a copy of the numbers at some places of a value, in the order of these places."""
        key = value, index.tobytes()
        if key not in self._copies:
            self._stage_of(value)
            self._copies[key] = Value(value.node, index.shape, copied=True)
            piece = Piece(value, index.ravel(), row_major((index.size,)))
            self._alone(self._copies[key], Stage("copy", index.shape, pieces=[piece]))
        return self._copies[key]

    def _read(self, node: fx.Node, argument: fx.Node, shape: Shape | None = None) -> Read:
        """Return how a node reads an argument, which is repeated to ``shape`` if one is given."""
        value, index = self._held[argument]
        if shape is not None:
            index = np.broadcast_to(index, shape)
        return self._remember(node, argument, value, index, shared=shape is not None)

    def _remember(self, node: fx.Node, argument: fx.Node, value: Value, index: Index, *, shared: bool = False) -> Read:
        first = int(index.flat[0])
        if is_run(index):
            read = Read(value, first)
        elif shared and (index == first).all():
            read = Read(value, first, shared=True)
        else:
            read = Read(self._copy(value, index))
        self._plan.reads[node, argument] = read
        return read

    def _move(self, node: fx.Node) -> None:
        """Plan a primitive that moves numbers: numbers of one value stay in place, numbers of several are copied."""
        arguments = node.all_input_nodes
        held = [self._held[argument] for argument in arguments]
        places = self._samples.moves[node]
        source = np.concatenate([index.ravel() for _, index in held])[places]
        values = list(dict.fromkeys(value for value, _ in held))
        if len(values) == 1:
            self._held[node] = values[0], source
            return
        owner = np.concatenate([np.full(index.size, values.index(value)) for value, index in held])[places].ravel()
        pieces = []
        for number, value in enumerate(values):
            target = np.flatnonzero(owner == number)
            if target.size:
                self._stage_of(value)
                pieces.append(Piece(value, source.ravel()[target], target))
        self._alone(self._value(node), Stage("copy", self._shapes[node], [node], pieces=pieces))

    def _reduction(self, node: fx.Node) -> None:
        """Plan a reduction: its axes are joined into one; if they are not adjacent, they are moved to the end first."""
        argument = node.all_input_nodes[0]
        value, index = self._held[argument]
        gone = [axis - 1 for axis in reduced_axes(node, index.ndim + 1)]
        first, count = gone[0], math.prod(index.shape[axis] for axis in gone)
        if gone != list(range(first, first + len(gone))):
            index = index.transpose([axis for axis in range(index.ndim) if axis not in gone] + gone)
            first = index.ndim - len(gone)
        self._stage_of(self._remember(node, argument, value, index).value)
        before = math.prod(index.shape[:first])
        sizes = before, count, index.size // before // count
        self._alone(self._value(node), Stage("reduce", self._shapes[node], [node], sizes=sizes))

    def _product(self, node: fx.Node) -> None:
        for argument in node.all_input_nodes:
            if argument in self._shapes:
                self._stage_of(self._read(node, argument).value)
        self._alone(self._value(node), Stage("matmul", self._shapes[node], [node]))

    def _elementwise(self, node: fx.Node) -> None:
        """Put a node into the last fitting stage, or into a new stage.

        A fitting stage has the same number of values, and no stage after it computes what the node reads.
        """
        shape = self._shapes[node]
        count, stages = math.prod(shape), self._plan.stages
        given = [argument for argument in node.all_input_nodes if argument in self._shapes]
        arguments = [self._read(node, argument, shape) for argument in given]
        sums = self._sums(arguments, count)
        earliest = 0
        for read in arguments:
            if read.value in sums:
                earliest = max(earliest, self._made[self._summed(read.value)] + 1)
                continue
            made = self._made[read.value]
            inside = _is_whole(read, count) and made >= 0 and stages[made].kind == "tiles"
            earliest = max(earliest, made if inside else made + 1)
        fitting = (k for k in range(len(stages) - 1, earliest - 1, -1) if stages[k].count == count)
        found = next((k for k in fitting if stages[k].kind == "tiles"), None)
        if found is None:
            stages.append(Stage("tiles", shape))
            found = len(stages) - 1
        for new in (*sums, self._value(node)):
            stages[found].nodes.append(new.node)
            self._made[new] = found

    def _sums(self, arguments: list[Read], count: int) -> list[Value]:
        """Return the sums that the reading stage can compute itself; all other values get an earlier stage."""
        fitting: dict[Value, None] = {}
        for read in arguments:
            if read.value in self._made or not _is_whole(read, count) or _rows(read.value.shape) > 1:
                self._stage_of(read.value)
            else:
                fitting[read.value] = None
        for value in fitting:
            self._stage_of(self._summed(value))
        # The input of one sum may depend on another sum, which then got a stage of its own.
        return [value for value in fitting if value not in self._made]

    def _summed(self, value: Value) -> Value:
        """Return the value that a ``linear`` reads."""
        return self._plan.reads[value.node, value.node.all_input_nodes[0]].value

    def _find_outputs(self) -> None:
        """Find the outputs of each stage: values that later stages read, and outputs of the plan."""
        read = dict.fromkeys(self._plan.outputs)
        for stage in self._plan.stages:
            read |= dict.fromkeys(reads(self._plan, stage))
        for value in read:
            if self._made[value] >= 0:
                self._plan.stages[self._made[value]].outputs.append(value)


def _is_whole(read: Read, count: int) -> bool:
    """Return whether all numbers of the value are read, one after the other."""
    return read.value.count == count and not read.shared


def _rows(shape: Shape) -> int:
    return math.prod(shape[:-1])
