"""Extra outputs of an ONNX file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nalu_export import NALU, formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import Compute
from nalu_export.runtimes._onnx_values import with_outputs
from tests.captured import graph_of


def _file(model: NALU, compute: Compute = "float32") -> bytes:
    return formats.get("onnx").emit(graph_of(model, (4,)), EmitOptions(compute=compute)).to_bytes({})


@pytest.mark.parametrize(("compute", "wanted"), [("float32", TensorProto.FLOAT), ("float64", TensorProto.DOUBLE)])
def test_the_outputs_have_the_type_of_the_values(nalu: NALU, compute: Compute, wanted: int) -> None:
    data, found = with_outputs(_file(nalu, compute), ["layers.0.a", "layers.0.W", "input", "layers.0.a"])
    assert found == ("layers.0.a", "layers.0.W", "input")
    outputs = onnx.load_from_string(data).graph.output
    assert [value.name for value in outputs] == ["output", "layers.0.a", "layers.0.W:value", "input:value"]
    assert [value.type.tensor_type.elem_type for value in outputs] == [
        TensorProto.FLOAT,
        wanted,
        wanted,
        TensorProto.FLOAT,
    ]


def test_nothing_else_changes_and_the_bytes_given_stay(nalu: NALU) -> None:
    data = _file(nalu)
    before = bytes(data)
    extended, found = with_outputs(data, ["nothing like it"])
    assert (data, found) == (before, ())
    assert onnx.load_from_string(extended) == onnx.load_from_string(data)


def test_a_name_that_is_taken_is_avoided() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    nodes = [helper.make_node("Abs", ["x"], ["w:value"]), helper.make_node("Add", ["w:value", "w"], ["y"])]
    weight = numpy_helper.from_array(np.ones(1, np.float32), "w")
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    data, found = with_outputs(proto.SerializeToString(), ["w", "w:value", "x"])
    assert found == ("w", "w:value", "x")
    names = [value.name for value in onnx.load_from_string(data).graph.output]
    assert names == ["y", "w:value'", "w:value", "x:value"]


def test_a_value_of_unknown_type_is_left_out() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
    nodes = [helper.make_node("Own", ["x"], ["a"], domain="own"), helper.make_node("Own", ["a"], ["y"], domain="own")]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    proto = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opsets, ir_version=9)
    _, found = with_outputs(proto.SerializeToString(), ["a"])
    assert found == ()
