"""Faults of the gate."""

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, NALUCell
from nalu_export.nn.functional import effective_weight, log_magnitude
from tests.faults.edit import Cell, cells, change, detach, literal, node
from tests.faults.fault import in_file, in_model

G = "layers.0.G"


@in_file("cell")
def runtime_sigmoid(proto: onnx.ModelProto) -> None:
    """An optimiser fuses ``1/(1 + exp(−z))`` into the runtime's Sigmoid, whose accuracy is absolute."""
    (cell,) = cells(proto)
    _sigmoid(proto, cell)


@in_file("cell")
def second_gate_by_subtraction(proto: onnx.ModelProto) -> None:
    """``1 − σ(z)`` for the second gate, as every textbook NALU has it; the product is lost once σ(z) is 1."""
    (cell,) = cells(proto)
    one = literal(proto, 1.0)
    gate = node(proto, "Div", [one, cell.sum_gate.input[1]], before=cell.product_gate)
    rest = node(proto, "Sub", [one, gate], before=cell.product_gate)
    cell.product_gate.op_type = "Mul"
    cell.product_gate.input[1] = rest


class _SubtractingCell(NALUCell):
    def forward(self, x: Tensor) -> Tensor:
        W = effective_weight(self.W_hat, self.M_hat)
        gate = torch.sigmoid(F.linear(x, self.G))
        product = torch.exp(F.linear(log_magnitude(x, self.eps), W))
        return gate * F.linear(x, W) + (1.0 - gate) * product


@in_model("script")
def second_gate_by_subtraction_in_torchscript(model: nn.Module) -> nn.Module:
    """The textbook NALU, traced with the weights of the right one."""
    assert isinstance(model, NALU)
    cell = _SubtractingCell(4, 2)
    cell.load_state_dict(model.layers[0].state_dict())
    model.layers[0] = cell
    return model


@in_file("cell")
def gates_swapped(proto: onnx.ModelProto) -> None:
    """A port of a variant in which σ(z) opens the product."""
    (cell,) = cells(proto)
    cell.sum_gate.input[0], cell.product_gate.input[0] = cell.product_gate.input[0], cell.sum_gate.input[0]


@in_file("cell")
def gate_negated(proto: onnx.ModelProto) -> None:
    """A sign that is lost between two conventions for z."""
    change(proto, G, lambda value: -value)


@in_file("square")
def gate_transposed(proto: onnx.ModelProto) -> None:
    """G stored as (in, out) and read as (out, in), which a square layer does not notice."""
    change(proto, G, lambda value: value.T)


@in_file("cell")
def one_gate_for_all_outputs(proto: onnx.ModelProto) -> None:
    """The row gate of other implementations in place of one gate for each output."""
    change(proto, G, lambda value: value[:1].repeat(len(value), axis=0))


@in_file("cell")
def gate_with_a_bias(proto: onnx.ModelProto) -> None:
    """A Linear with its default bias where the layer has none."""
    (cell,) = cells(proto)
    cell.gate.input.append(literal(proto, [1e-4, -1e-4]))


@in_file("cell")
def gate_always_open(proto: onnx.ModelProto) -> None:
    """Both paths added without their gates."""
    (cell,) = cells(proto)
    cell.output.input[:] = [cell.sum.output[0], cell.product.output[0]]


@in_file("cell")
def gate_zero_below_minus_17(proto: onnx.ModelProto) -> None:
    """A logistic kernel that gives 0 where z < −17, as vectorised ones do."""
    (cell,) = cells(proto)
    low = node(proto, "Less", [cell.gate.output[0], literal(proto, -17.0)], before=cell.output)
    right, old = detach(cell.sum_gate)
    node(proto, "Where", [low, literal(proto, 0.0), right], before=cell.output, output=old)


def _sigmoid(proto: onnx.ModelProto, cell: Cell) -> None:
    for quotient, negated in ((cell.sum_gate, False), (cell.product_gate, True)):
        z = cell.gate.output[0]
        if negated:
            z = node(proto, "Neg", [z], before=quotient)
        quotient.input[1] = node(proto, "Sigmoid", [z], before=quotient)
        quotient.op_type = "Mul"
