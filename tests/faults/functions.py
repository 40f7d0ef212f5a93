"""Faults of the functions in between: |x|, log, exp, a whole layer."""

import math

import numpy as np
import onnx
from torch import nn

from tests.faults.edit import cells, detach, following, literal, node
from tests.faults.fault import in_file, in_model


@in_file("cell")
def magnitude_dropped(proto: onnx.ModelProto) -> None:
    """``log(x + ε)`` from data that were never negative."""
    (cell,) = cells(proto)
    cell.magnitude.op_type = "Identity"


@in_file("cell")
def log_base_2(proto: onnx.ModelProto) -> None:
    """A log2 kernel under exp: the wrong base on one side."""
    (cell,) = cells(proto)
    new, old = detach(cell.log)
    node(proto, "Mul", [new, literal(proto, 1 / math.log(2))], before=following(proto, cell.log), output=old)


@in_file("cell")
def log1p_for_log(proto: onnx.ModelProto) -> None:
    """``log(|x| + 1)``, the harmless-looking way around ``log(0)``."""
    (cell,) = cells(proto)
    cell.shifted.input[1] = literal(proto, 1.0)


@in_file("cell")
def exp_as_a_polynomial(proto: onnx.ModelProto) -> None:
    """``1 + t + t²/2`` on a target without an exponential."""
    (cell,) = cells(proto)
    t, exp = cell.product.input[0], cell.product
    half = node(proto, "Mul", [t, literal(proto, 0.5)], before=exp)
    slope = node(proto, "Add", [half, literal(proto, 1.0)], before=exp)
    risen = node(proto, "Mul", [t, slope], before=exp)
    exp.op_type = "Add"
    exp.input[:] = [risen, literal(proto, 1.0)]


@in_file("cell")
def exp_by_a_short_log2e(proto: onnx.ModelProto) -> None:
    """``2^(t·1.44269)``: the constant of a table with six digits."""
    (cell,) = cells(proto)
    scaled = node(proto, "Mul", [cell.product.input[0], literal(proto, 1.44269)], before=cell.product)
    cell.product.op_type = "Pow"
    cell.product.input[:] = [literal(proto, 2.0), scaled]


@in_file("cell")
def exp_clamped(proto: onnx.ModelProto) -> None:
    """A guard against overflow that clips the exponent to ±20."""
    (cell,) = cells(proto)
    bounds = [literal(proto, -20.0), literal(proto, 20.0)]
    cell.product.input[0] = node(proto, "Clip", [cell.product.input[0], *bounds], before=cell.product)


@in_file("cell")
def power_without_eps(proto: onnx.ModelProto) -> None:
    """An optimiser that evaluates ``exp(Σ w·log(|x| + ε))`` as ``Π |x|^w``."""
    (cell,) = cells(proto)
    exp = cell.product
    axis = literal(proto, [1], np.int64)
    wide = node(proto, "Unsqueeze", [cell.magnitude.output[0], axis], before=exp)
    powers = node(proto, "Pow", [wide, cell.power.input[1]], before=exp)
    exp.op_type = "ReduceProd"
    exp.input[:] = [powers, literal(proto, [2], np.int64)]
    exp.attribute.append(onnx.helper.make_attribute("keepdims", 0))


@in_file("cell")
def product_dropped(proto: onnx.ModelProto) -> None:
    """A NALU taken for a gated NAC."""
    (cell,) = cells(proto)
    cell.output.op_type = "Identity"
    cell.output.input[:] = [cell.sum_gate.output[0]]


@in_file("stack")
def layer_dropped(proto: onnx.ModelProto) -> None:
    """A layer of equal input and output size that a conversion skipped."""
    first, second = cells(proto)
    second.output.op_type = "Identity"
    second.output.input[:] = [first.output.output[0]]


@in_file("stack")
def layer_run_twice(proto: onnx.ModelProto) -> None:
    """A loop over layers that binds the first one each time."""
    first, second = cells(proto)
    for source, target in ((first.sum, second.sum), (first.power, second.power), (first.gate, second.gate)):
        target.input[1] = source.input[1]


@in_model("script")
def second_activation_in_torchscript(model: nn.Module) -> nn.Module:
    """A wrapper around the layer that has an activation of its own."""
    return nn.Sequential(model, nn.Softsign())


@in_file("cell")
def inputs_normalised(proto: onnx.ModelProto) -> None:
    """A preprocessing step of the training pipeline that is now in the file as well."""
    first = proto.graph.node[0]
    scaled = node(proto, "Mul", ["input", literal(proto, 0.5)], before=first)
    for one in list(proto.graph.node)[1:]:
        one.input[:] = [scaled if name == "input" else name for name in one.input]
