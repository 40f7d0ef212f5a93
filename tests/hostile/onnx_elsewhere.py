"""ONNX files that keep a tensor in another file, in every place that has tensors."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.exports import edited, exported, external, odd
from tests.hostile.wire import START, within


def outside(location: str) -> Callable[[], bytes]:
    """The ONNX file with its weight in another file."""
    return lambda: edited(lambda proto: external(proto.graph.initializer[0], location))


def _in_attribute(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    external(tensor, "../secret")
    proto.graph.node.append(helper.make_node("Constant", [], ["hidden"], value=tensor))


def _in_branch(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "deep")
    external(tensor, "../secret")
    branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("deep", 1, [2])], [tensor])
    proto.graph.node.append(helper.make_node("If", ["no"], ["deep"], then_branch=branch, else_branch=branch))


def _in_function(proto: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "called")
    external(tensor, "../secret")
    node = helper.make_node("Constant", [], ["called"], value=tensor)
    proto.functions.append(helper.make_function("d", "f", [], ["called"], [node], [helper.make_opsetid("", 20)]))


def _in_sparse(proto: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "thin")
    external(values, "../secret")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "where")
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))


def hidden(way: Sequence[int]) -> Case:
    """A tensor in another file, where these fields of a file lead to."""
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "hidden")
    external(tensor, "../secret")
    return Case(
        lambda: exported("onnx") + within((*way,), tensor.SerializeToString())[len(START) :],
        "keeps hidden in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    )


ELSEWHERE: Table = {
    "ONNX, a weight above its folder": Case(
        outside("../secret"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight at an absolute path": Case(
        outside("/etc/passwd"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight in its folder": Case(
        outside("good.pt"),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a weight in nothing": Case(
        outside(""),
        "keeps layers.0.W in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a constant elsewhere": Case(
        lambda: edited(_in_attribute),
        "keeps hidden in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a branch elsewhere": Case(
        lambda: edited(_in_branch),
        "keeps deep in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a function elsewhere": Case(
        lambda: edited(_in_function),
        "keeps called in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a sparse weight elsewhere": Case(
        lambda: edited(_in_sparse),
        "keeps thin in another file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "ONNX, a tensor of several elsewhere": hidden((7, 1, 5, 10)),
    "ONNX, a sparse attribute elsewhere": hidden((7, 1, 5, 22, 1)),
    "ONNX, a place in a sparse attribute elsewhere": hidden((7, 1, 5, 22, 2)),
    "ONNX, a sparse attribute of several elsewhere": hidden((7, 1, 5, 23, 1)),
    "ONNX, a graph of several elsewhere": hidden((7, 1, 5, 11, 5)),
    "ONNX, a default of a function elsewhere": hidden((25, 11, 5)),
    "ONNX, a training elsewhere": hidden((20, 1, 5)),
    "ONNX, an algorithm elsewhere": hidden((20, 2, 1, 5, 6, 5)),
    "ONNX, a weight elsewhere of an odd name": Case(
        lambda: edited(lambda proto: external(odd(proto.graph.initializer[0]), "x")),
        "keeps '\\n\\x1b[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' in another "
        "file; only self-contained files are read, so save it with its weights inside",
        (*CHECK, *INSPECT),
        "artifact",
    ),
}
