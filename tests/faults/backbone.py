"""Faults of what surrounds an arithmetic head: convolution, batch norm, pooling, log-softmax."""

import numpy as np
import onnx
from onnx import helper
from torch import nn

from tests.faults.edit import change
from tests.faults.fault import in_file, in_model
from tests.faults.planted import AnyArray


@in_file("image")
def backbone_weight_off_by_a_thousandth(proto: onnx.ModelProto) -> None:
    """One weight of a convolution from another checkpoint."""

    def off(value: AnyArray) -> AnyArray:
        value.flat[np.abs(value).argmax()] *= 1.001
        return value

    change(proto, "backbone.0.weight", off)


@in_file("image")
def backbone_in_float16(proto: onnx.ModelProto) -> None:
    """A backbone whose weights were stored in float16."""
    change(proto, "backbone.0.weight", lambda value: value.astype(np.float16))


@in_file("image")
def head_weight_off_by_a_thousandth(proto: onnx.ModelProto) -> None:
    """One weight of the head behind a right backbone."""

    def off(value: AnyArray) -> AnyArray:
        value.flat[np.abs(value).argmax()] *= 1.001
        return value

    change(proto, "head.layers.0.W", off)


@in_model("image")
def batch_norm_eps_of_another_framework(model: nn.Module) -> nn.Module:
    """1e-3 (Keras) for 1e-5 in a batch norm."""
    for norm in _norms(model):
        norm.eps = 1e-3
    return model


@in_model("image")
def batch_norm_statistics_lost(model: nn.Module) -> nn.Module:
    """Running statistics that were not in the state_dict: mean 0 and variance 1."""
    for norm in _norms(model):
        norm.reset_running_stats()
    return model


@in_model("image")
def average_for_sum_pooling(model: nn.Module) -> nn.Module:
    """The usual global pooling in place of the one that counts."""
    model.__dict__["pool"] = "avg"
    return model


@in_file("image")
def padding_forgotten(proto: onnx.ModelProto) -> None:
    """A convolution without its padding: another size inside, the same outside."""
    conv = next(one for one in proto.graph.node if one.op_type == "Conv")
    for attribute in conv.attribute:
        if attribute.name == "pads":
            attribute.ints[:] = [0, 0, 0, 0]


@in_file("image")
def softmax_for_log_softmax(proto: onnx.ModelProto) -> None:
    """Probabilities in place of their logarithms."""
    _last(proto).op_type = "Softmax"


@in_file("image")
def log_softmax_forgotten(proto: onnx.ModelProto) -> None:
    """Logits in place of log-probabilities; the best class is the same."""
    last = _last(proto)
    last.op_type = "Identity"
    del last.attribute[:]


def _last(proto: onnx.ModelProto) -> onnx.NodeProto:
    """The log-softmax, which a file spells out, put back into one node."""
    nodes, result = proto.graph.node, proto.graph.output[0].name
    for one in [one for one in nodes if one.output[0].startswith(f"{result}.")]:
        nodes.remove(one)
    nodes[-1].CopyFrom(helper.make_node("LogSoftmax", ["head.y"], [result], axis=-1))
    last: onnx.NodeProto = nodes[-1]
    return last


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
