"""Writes LogSoftmax as ``s − log Σ exp(s)``, ``s = x − max x``, because some runtimes compute it as ``log(softmax)``.

These runtimes give −∞ for results below about −104, where the softmax underflows. They are the onnx reference evaluator
up to 1.23 (onnx pull request 8423) and tract's importer (hir/src/ops/nn/layer_max.rs). An arithmetic layer that
extrapolates soon reaches such values.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from nalu_export.formats.onnx.opsets import axes_are_an_input


def write_out_log_softmax(proto: onnx.ModelProto, opset: int) -> None:
    """Replace every LogSoftmax node, in place."""
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        if node.op_type == "LogSoftmax" and not node.domain:
            nodes += _written_out(proto.graph, node, opset)
        else:
            nodes.append(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _written_out(graph: onnx.GraphProto, node: onnx.NodeProto, opset: int) -> Iterator[onnx.NodeProto]:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), -1)
    (x,), (result,) = node.input, node.output
    names = {part: f"{result}.{part}" for part in ("axis", "max", "shifted", "exp", "sum", "log")}
    graph.initializer.append(numpy_helper.from_array(np.array([axis], np.int64), names["axis"]))
    if axes_are_an_input("ReduceMax", opset):
        yield helper.make_node("ReduceMax", [x, names["axis"]], [names["max"]], keepdims=1)
    else:
        yield helper.make_node("ReduceMax", [x], [names["max"]], axes=[axis], keepdims=1)
    yield helper.make_node("Sub", [x, names["max"]], [names["shifted"]])
    yield helper.make_node("Exp", [names["shifted"]], [names["exp"]])
    yield helper.make_node("ReduceSum", [names["exp"], names["axis"]], [names["sum"]], keepdims=1)
    yield helper.make_node("Log", [names["sum"]], [names["log"]])
    yield helper.make_node("Sub", [names["shifted"], names["log"]], [result], name=f"{result}_node")
