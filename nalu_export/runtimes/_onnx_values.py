"""Intermediate values of an ONNX file: they become extra outputs, which every ONNX runtime can compute."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from nalu_export.errors import InputError
from nalu_export.runtimes.base import Arrays, Session

#: Runs a batch, one array for each input; returns all outputs of the file in its order.
Runner = Callable[[Arrays], Arrays]


class Loaded(NamedTuple):
    """A file loaded by a runtime: a function that runs it, and the runtime's names of its inputs and outputs."""

    run: Runner
    inputs: Sequence[str]
    outputs: Sequence[str]


#: Loads a file in one runtime.
Loader = Callable[[bytes], Loaded]


def with_outputs(data: bytes, names: Sequence[str]) -> tuple[bytes, tuple[str, ...]]:
    """Return the file with some of its values as additional outputs after its own.

    A node's result becomes an output under its own name. An input, an initializer or an output goes through an
    Identity node under another name: runtimes refuse an initializer that is an output, or optimise it away.

    Args:
        data: the file.
        names: names of values, exactly as in the file; unknown names are skipped.

    Returns:
        The new file, and the names found in it, in the order of the additional outputs.
    """
    proto = onnx.load_from_string(data)
    graph = proto.graph
    types = _element_types(proto)
    given = {name for node in graph.node for name in node.output}
    fixed = {value.name for value in (*graph.input, *graph.initializer, *graph.output)}
    taken = given | fixed
    found = tuple(name for name in dict.fromkeys(names) if types.get(name))
    for name in found:
        output = name
        if name in fixed:
            output = f"{name}:value"
            while output in taken:
                output += "'"
            taken.add(output)
            graph.node.append(helper.make_node("Identity", [name], [output], f"{output}_node"))
        # Only the element type: a runtime may refuse a shape that inference made up (unk__0).
        graph.output.append(helper.make_tensor_value_info(output, types[name], None))
    return proto.SerializeToString(deterministic=True), found


def _element_types(proto: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every value of the main graph, 0 if shape inference does not find it."""
    return types_of(onnx.shape_inference.infer_shapes(proto).graph)


def types_of(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the element types of the values that a graph declares, without those of the graphs in its nodes."""
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        types[value.name] = value.type.tensor_type.elem_type
    return types


class OnnxSession(Session):
    """A session that runs an ONNX file and can show its intermediate values.

    The original file and a changed file for each set of values are loaded separately; :meth:`run` always uses the
    original file.

    Args:
        runtime: name of the runtime, for messages.
        data: the file.
    """

    def __init__(self, runtime: str, data: bytes) -> None:
        self._data, self._runtime = data, runtime
        self._looks: dict[tuple[str, ...], tuple[tuple[str, ...], Runner | None]] = {}
        self._run, self.inputs, self.outputs = self._load(data)

    @abstractmethod
    def _load(self, data: bytes) -> Loaded:
        """Load a file; called again for each set of intermediate values."""

    def run(self, inputs: Arrays) -> Arrays:
        """See :meth:`Session.run`."""
        if len(inputs) != len(self.inputs):
            count = len(self.inputs)
            raise InputError(
                f"{self._runtime}: the file takes {count} input{'' if count == 1 else 's'}, the model {len(inputs)}"
            )
        results = self._run(inputs)
        for result in results:
            if not isinstance(result, np.ndarray):
                # A sequence, a map, or an empty optional value.
                raise InputError(
                    f"{self._runtime}: the file gives a value of kind {type(result).__name__}, not a tensor"
                )
        return results

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """See :meth:`Session.values`; a name is that of a node's output, an initializer, an input or an output."""
        key = tuple(names)
        if key not in self._looks:
            data, found = with_outputs(self._data, key)
            self._looks[key] = found, self._load(data).run if found else None
        found, runner = self._looks[key]
        if runner is None:
            return {}
        outputs = runner(inputs)
        return dict(zip(found, outputs[len(outputs) - len(found) :], strict=True))
