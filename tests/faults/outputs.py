"""Faults of the output: order, number, scale and the values that are no numbers."""

import numpy as np
import onnx
from onnx import helper

from tests.faults.edit import append, detach, literal, node, producer, resize
from tests.faults.fault import in_file

LARGEST = float(np.finfo(np.float32).max)


@in_file("cell")
def outputs_permuted(proto: onnx.ModelProto) -> None:
    """Classes in another order than the labels."""
    _gather(proto, [1, 0])


@in_file("cell")
def output_dropped(proto: onnx.ModelProto) -> None:
    """One of the outputs cut off."""
    _gather(proto, [0])
    resize(proto, 1)


@in_file("cell")
def output_duplicated(proto: onnx.ModelProto) -> None:
    """The first output in place of every output."""
    _gather(proto, [0, 0])


@in_file("cell")
def output_added(proto: onnx.ModelProto) -> None:
    """One output more than the model has."""
    _gather(proto, [0, 1, 1])
    resize(proto, 3)


@in_file("cell")
def output_scaled(proto: onnx.ModelProto) -> None:
    """A calibration factor of 1.00001 that was never removed."""
    append(proto, "Mul", 1.00001)


@in_file("cell")
def output_offset(proto: onnx.ModelProto) -> None:
    """A bias of 1e-6 that the model does not have."""
    append(proto, "Add", 1e-6)


@in_file("nac")
def negative_zero(proto: onnx.ModelProto) -> None:
    """A sum that ends as −0 where the model gives +0, so that a division by it changes sign."""
    new, old = detach(producer(proto, proto.graph.output[0].name))
    zero = node(proto, "Equal", [new, literal(proto, 0.0)])
    # Not Where(zero, −0, new): ONNX Runtime's Where adds the two sides up, and −0 + 0 is +0.
    sign = node(proto, "Where", [zero, literal(proto, -1.0), literal(proto, 1.0)])
    node(proto, "Mul", [new, sign], output=old)


@in_file("cell")
def nan_lane(proto: onnx.ModelProto) -> None:
    """One lane of a vector register left uninitialised."""
    append(proto, "Add", [0.0, np.nan])


@in_file("overflowing")
def infinity_clamped(proto: onnx.ModelProto) -> None:
    """A Clip to the range of float32, so that an overflow looks like a number."""
    append(proto, "Clip", -LARGEST, LARGEST)


@in_file("overflowing")
def overflow_hidden(proto: onnx.ModelProto) -> None:
    """nan_to_num behind the model: NaN and infinity become 0."""
    new, old = detach(producer(proto, proto.graph.output[0].name))
    difference = node(proto, "Sub", [new, new])
    finite = node(proto, "Equal", [difference, literal(proto, 0.0)])
    node(proto, "Where", [finite, new, literal(proto, 0.0)], output=old)


@in_file("overflowing")
def saturated_at_65504(proto: onnx.ModelProto) -> None:
    """An output register of float16 that saturates."""
    append(proto, "Clip", -65504.0, 65504.0)


@in_file("cell")
def relu_after_the_output(proto: onnx.ModelProto) -> None:
    """An activation that a generic exporter puts behind each layer."""
    append(proto, "Relu")


@in_file("cell")
def outputs_rounded(proto: onnx.ModelProto) -> None:
    """Outputs that went through a text format with four digits after the point."""
    append(proto, "Mul", 1e4)
    append(proto, "Round")
    append(proto, "Div", 1e4)


@in_file("cell")
def float64_output(proto: onnx.ModelProto) -> None:
    """A file that gives another type than it promises: readers of raw buffers take it for something else."""
    append(proto, "Cast", to=onnx.TensorProto.DOUBLE)
    proto.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


@in_file("cell")
def two_outputs(proto: onnx.ModelProto) -> None:
    """A value for debugging left as a second output."""
    value = proto.graph.node[0].output[0]
    proto.graph.output.append(helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, ["batch", 2]))


def _gather(proto: onnx.ModelProto, columns: list[int]) -> None:
    new, old = detach(producer(proto, proto.graph.output[0].name))
    node(proto, "Gather", [new, literal(proto, columns, np.int64)], output=old, axis=1)
