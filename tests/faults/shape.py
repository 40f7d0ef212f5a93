"""Faults of the batch and of the image: what was fixed, mixed or turned."""

from typing import Any

import numpy as np
import onnx

from tests.faults.edit import detach, literal, node, producer
from tests.faults.fault import in_file


@in_file("cell")
def batch_frozen_at_2(proto: onnx.ModelProto) -> None:
    """An export without dynamic shapes, at the batch of its example."""
    _freeze(proto, {0: 2})


@in_file("cell")
def batch_frozen_at_1(proto: onnx.ModelProto) -> None:
    """The same with an example of one sample, the usual one."""
    _freeze(proto, {0: 1})


@in_file("cell")
def batch_coupled(proto: onnx.ModelProto) -> None:
    """A normalisation in training mode: each sample sees the mean of its batch."""
    new, old = _output(proto)
    axis = literal(proto, [0], np.int64)
    mean = node(proto, "ReduceMean", [new, axis], keepdims=1)
    deviation = node(proto, "Sub", [new, mean])
    node(proto, "Sub", [new, node(proto, "Mul", [deviation, literal(proto, 1e-3)])], output=old)


@in_file("cell")
def batch_softmax(proto: onnx.ModelProto) -> None:
    """A Softmax over axis 0 in place of axis 1."""
    new, old = _output(proto)
    node(proto, "Mul", [new, node(proto, "Softmax", [new], axis=0)], output=old)


@in_file("cell")
def first_sample_for_all(proto: onnx.ModelProto) -> None:
    """A stride of 0: the first sample's result for the whole batch."""
    new, old = _output(proto)
    first = node(proto, "Gather", [new, literal(proto, [0], np.int64)], axis=0)
    node(proto, "Expand", [first, node(proto, "Shape", [new])], output=old)


@in_file("cell")
def samples_reversed(proto: onnx.ModelProto) -> None:
    """Results handed back in another order than the inputs."""
    new, old = _output(proto)
    bounds = [literal(proto, [value], np.int64) for value in (-1, np.iinfo(np.int64).min, 0, -1)]
    node(proto, "Slice", [new, *bounds], output=old)


@in_file("image")
def height_and_width_frozen(proto: onnx.ModelProto) -> None:
    """An export that traced one image size."""
    _freeze(proto, {2: 8, 3: 8})


@in_file("image")
def height_and_width_swapped(proto: onnx.ModelProto) -> None:
    """(N, C, W, H) for (N, C, H, W): an image library's order of axes."""
    _first(proto, "Transpose", perm=[0, 1, 3, 2])


@in_file("image")
def image_flipped(proto: onnx.ModelProto) -> None:
    """Rows from the bottom up, as in a bitmap file."""
    bounds = [literal(proto, [value], np.int64) for value in (-1, np.iinfo(np.int64).min, 2, -1)]
    _first(proto, "Slice", *bounds)


@in_file("image")
def image_scaled(proto: onnx.ModelProto) -> None:
    """0..255 divided by 256 in place of 255."""
    _first(proto, "Mul", literal(proto, 255.0 / 256.0))


def _freeze(proto: onnx.ModelProto, sizes: dict[int, int]) -> None:
    for axis, size in sizes.items():
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    if 0 in sizes:
        proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = sizes[0]


def _first(proto: onnx.ModelProto, op_type: str, *operands: str, **attributes: Any) -> None:
    """An operation on the input, before everything else."""
    old = list(proto.graph.node)
    changed = node(proto, op_type, ["input", *operands], before=old[0], **attributes)
    for one in list(proto.graph.node)[1:]:
        one.input[:] = [changed if name == "input" else name for name in one.input]


def _output(proto: onnx.ModelProto) -> tuple[str, str]:
    return detach(producer(proto, proto.graph.output[0].name))
