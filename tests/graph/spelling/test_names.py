"""nalu_export.graph.spelling.names: one name for one operation, whoever writes it."""

import math
import operator

import torch
from torch import fx

from nalu_export.graph.spelling.names import is_in_place, name_of


def _node(op: str, target: object) -> fx.Node:
    graph = fx.Graph()
    return graph.create_node(op, target, (graph.placeholder("x"), 2.0))  # type: ignore[arg-type]


def test_one_operation_has_one_name() -> None:
    for op, target in (
        ("call_function", torch.mul),
        ("call_function", operator.mul),
        ("call_function", operator.imul),
        ("call_function", torch.ops.aten.mul.Tensor),
        ("call_function", torch.ops.aten.mul_.Tensor),
        ("call_method", "mul"),
        ("call_method", "mul_"),
    ):
        assert name_of(_node(op, target)) == "mul", target


def test_what_is_in_place() -> None:
    for target, expected in ((operator.imul, True), (torch.ops.aten.mul_.Tensor, True), (operator.mul, False)):
        assert is_in_place(_node("call_function", target)) == expected
    assert is_in_place(_node("call_method", "clamp_"))
    # Words of Python and private functions of aten.
    for target in (operator.and_, operator.or_, torch.ops.aten.__and__.Tensor):
        assert not is_in_place(_node("call_function", target))
    assert not is_in_place(_node("call_method", "__rsub__"))


def test_words_of_python() -> None:
    for target in (operator.and_, torch.ops.aten.__and__.Tensor):
        assert name_of(_node("call_function", target)) == "and_"


def test_other_code_has_none() -> None:
    def mul(x: object, y: object) -> object:
        return x, y

    assert name_of(_node("call_function", mul)) is None
    assert name_of(_node("call_module", "layer")) is None
    for target in (torch.ops.quantized.add, torch.ops.quantized.add.default):
        assert name_of(_node("call_function", target)) is None
    assert name_of(_node("call_function", math.sqrt)) == "sqrt"
