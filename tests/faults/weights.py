"""Faults of the weights."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import numpy_helper

from tests.faults.edit import cells, change, constant, node
from tests.faults.fault import in_file
from tests.faults.planted import AnyArray

W, G = "layers.0.W", "layers.0.G"


@in_file("cell")
def weight_off_by_a_thousandth(proto: onnx.ModelProto) -> None:
    """One weight of another checkpoint, or of a lossy compression."""
    change(proto, W, lambda value: _largest(value, lambda weight: weight * np.float32(1.001)))


@in_file("cell")
def weight_off_by_4_ulp(proto: onnx.ModelProto) -> None:
    """One weight whose last bits were lost, as in a text file with seven digits."""
    change(proto, W, _four_steps)


@in_file("nac")
def sum_weight_off_by_4_ulp(proto: onnx.ModelProto) -> None:
    """The same in a layer that only adds."""
    change(proto, W, _four_steps)


@in_file("wide")
def weight_off_by_4_ulp_among_16(proto: onnx.ModelProto) -> None:
    """The same among 16 inputs, whose sums hide it unless most of them are 0."""
    change(proto, W, _four_steps)


@in_file("wide nac")
def sum_weight_off_by_4_ulp_among_16(proto: onnx.ModelProto) -> None:
    """The same among 16 inputs of a layer that only adds."""
    change(proto, W, _four_steps)


@in_file("untied")
def product_weight_off_by_a_thousandth(proto: onnx.ModelProto) -> None:
    """The same in the weights that only the product reads."""
    change(proto, "layers.0.W_mul", lambda value: _largest(value, lambda weight: weight * np.float32(1.001)))


@in_file("square")
def weights_transposed(proto: onnx.ModelProto) -> None:
    """W stored as (in, out) and read as (out, in), which a square layer does not notice."""
    change(proto, W, lambda value: value.T)


@in_file("square")
def product_weights_transposed(proto: onnx.ModelProto) -> None:
    """The attribute transB forgotten on one of two matrix products."""
    (cell,) = cells(proto)
    del cell.power.attribute[:]


@in_file("cell")
def tied_weights_untied(proto: onnx.ModelProto) -> None:
    """An exporter that folds W twice, once with the weights of a step earlier."""
    (cell,) = cells(proto)
    copy = numpy_helper.from_array(numpy_helper.to_array(constant(proto, W)) * np.float32(1 + 1e-4), "W copy")
    proto.graph.initializer.append(copy)
    cell.power.input[1] = copy.name


@in_file("untied")
def untied_weights_tied(proto: onnx.ModelProto) -> None:
    """A port that knows tied cells only: the product reads the weights of the sum."""
    (cell,) = cells(proto)
    cell.power.input[1] = cell.sum.input[1]


@in_file("untied")
def weights_of_the_paths_swapped(proto: onnx.ModelProto) -> None:
    """Two tensors of one shape bound by position instead of name."""
    (cell,) = cells(proto)
    cell.power.input[1], cell.sum.input[1] = cell.sum.input[1], cell.power.input[1]


@in_file("stack")
def layers_swapped(proto: onnx.ModelProto) -> None:
    """Two layers of one shape whose tensors were bound in the wrong order."""
    for kind in ("W", "G"):
        first, second = (constant(proto, f"layers.{index}.{kind}") for index in (0, 1))
        first.name, second.name = second.name, first.name


@in_file("stack")
def weights_of_two_layers_swapped(proto: onnx.ModelProto) -> None:
    """The same for W alone."""
    first, second = constant(proto, W), constant(proto, "layers.1.W")
    first.name, second.name = second.name, first.name


@in_file("cell")
def rows_permuted(proto: onnx.ModelProto) -> None:
    """The rows of W in another order than those of G."""
    change(proto, W, lambda value: value[::-1])


@in_file("cell")
def columns_permuted(proto: onnx.ModelProto) -> None:
    """Two input features in another order than the model was trained with."""
    for name in (W, G):
        change(proto, name, lambda value: value[:, [1, 0, 2, 3]])


@in_file("cell")
def sign_of_a_weight_lost(proto: onnx.ModelProto) -> None:
    """A weight read through an unsigned type."""

    def unsigned(value: AnyArray) -> AnyArray:
        value.flat[value.argmin()] *= -1
        return value

    change(proto, W, unsigned)


@in_file("cell")
def small_weights_pruned(proto: onnx.ModelProto) -> None:
    """A pruning step that sets the smallest weight to 0."""

    def prune(value: AnyArray) -> AnyArray:
        value.flat[np.abs(value).argmin()] = 0
        return value

    change(proto, W, prune)


@in_file("cell")
def weights_snapped(proto: onnx.ModelProto) -> None:
    """Weights near ±1 snapped to ±1, as a simplifier of trained NALUs does."""
    change(proto, W, lambda value: np.where(np.abs(value) > 0.5, np.sign(value), value))


@in_file("cell")
def weights_after_one_more_step(proto: onnx.ModelProto) -> None:
    """A file exported one optimiser step (1e-3 of each weight) before the checkpoint that it is checked against."""
    for name in (W, G):
        change(proto, name, lambda value: value * (1 + 1e-3))


@in_file("live")
def hard_tanh(proto: onnx.ModelProto) -> None:
    """A live file in which tanh is replaced by its clip to ±1, as some accelerators do."""
    for one in proto.graph.node:
        if one.op_type == "Tanh":
            one.op_type = "Clip"
            low, high = (numpy_helper.from_array(np.array(bound), f"bound {bound}") for bound in (-1.0, 1.0))
            proto.graph.initializer.extend([low, high])
            one.input.extend([low.name, high.name])


@in_file("closed, live")
def runtime_sigmoid_of_live_weights(proto: onnx.ModelProto) -> None:
    """A live file whose effective weights go through the runtime's float32 Sigmoid: 0 below −18."""
    (quotient,) = (one for one in proto.graph.node if one.op_type == "Div")
    gate = node(proto, "Sigmoid", ["layers.0.M_hat"], before=quotient)
    quotient.input[1] = node(proto, "Cast", [gate], before=quotient, to=onnx.TensorProto.DOUBLE)
    quotient.op_type = "Mul"


@in_file("live")
def raw_weights_for_effective_ones(proto: onnx.ModelProto) -> None:
    """W_hat taken for W: tanh and σ forgotten."""
    for one in proto.graph.node:
        if one.op_type == "Div" and "tanh" in one.input[0]:
            one.op_type = "Identity"
            one.input[:] = [next(tanh.input[0] for tanh in proto.graph.node if tanh.op_type == "Tanh")]


def _largest(value: AnyArray, function: Callable[[np.float32], np.float32]) -> AnyArray:
    index = np.abs(value).argmax()
    value.flat[index] = function(value.flat[index])
    return value


def _four_steps(value: AnyArray) -> AnyArray:
    def stepped(weight: np.float32) -> np.float32:
        for _ in range(4):
            weight = np.nextafter(weight, np.copysign(np.float32(np.inf), weight))
        return weight

    return _largest(value, stepped)
