"""Faults of ε."""

import numpy as np
import onnx
from torch import nn

from nalu_export import NALUCell
from tests.faults.edit import cells, change, literal, node
from tests.faults.fault import in_file, in_model

EPS = "1e-10:float32"


@in_file("cell")
def eps_deleted(proto: onnx.ModelProto) -> None:
    """A rewrite rule with an absolute tolerance takes ε for 0, as torch.onnx does by default."""
    change(proto, EPS, np.zeros_like)


@in_file("float64")
def eps_deleted_in_float64(proto: onnx.ModelProto) -> None:
    """The same rewrite rule in a file that computes in float64."""
    change(proto, "1e-10:float64", np.zeros_like)


@in_model("script")
def eps_deleted_in_torchscript(model: nn.Module) -> nn.Module:
    """A TorchScript archive traced from code whose author left ε out."""
    for cell in _cells(model):
        cell.eps = 1e-37
    return model


@in_file("cell")
def eps_doubled(proto: onnx.ModelProto) -> None:
    """A port of the layer that writes its own ε, near enough for nobody to see."""
    change(proto, EPS, lambda value: value * 2)


@in_file("live")
def eps_of_another_framework(proto: onnx.ModelProto) -> None:
    """A port that takes 1e-7, the usual ε of Keras."""
    change(proto, EPS, lambda value: np.full_like(value, 1e-7))


@in_file("stack")
def eps_doubled_in_one_layer(proto: onnx.ModelProto) -> None:
    """A hand-made graph in which one of two layers has another ε."""
    cells(proto)[1].shifted.input[1] = literal(proto, 2e-10)


@in_file("cell")
def eps_added_twice(proto: onnx.ModelProto) -> None:
    """A guard for the logarithm that is added once by the layer and once by the exporter."""
    (cell,) = cells(proto)
    cell.log.input[0] = node(proto, "Add", [cell.log.input[0], EPS], before=cell.log)


@in_file("cell")
def eps_inside_the_magnitude(proto: onnx.ModelProto) -> None:
    """``log(|x + ε|)`` for ``log(|x| + ε)``: the same for positive inputs."""
    (cell,) = cells(proto)
    shifted = node(proto, "Add", [cell.magnitude.input[0], EPS], before=cell.magnitude)
    cell.magnitude.input[0] = shifted
    cell.log.input[0] = cell.magnitude.output[0]


@in_file("cell")
def eps_as_a_floor(proto: onnx.ModelProto) -> None:
    """``log(max(|x|, ε))`` for ``log(|x| + ε)``, as a clamp is often written."""
    (cell,) = cells(proto)
    cell.shifted.op_type = "Max"


def _cells(model: nn.Module) -> list[NALUCell]:
    return [module for module in model.modules() if isinstance(module, NALUCell)]
