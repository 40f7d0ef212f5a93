"""nalu_export.graph.trace: every spelling becomes one primitive, and what has none is refused by name."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export import NALU, ArithmeticLayer, BackboneHead, UnsupportedLayerError
from nalu_export.graph import PRIMITIVES, primitive_of, trace, trace_model
from nalu_export.primitives import BY_FUNCTION


class _Formula(ArithmeticLayer):
    """Any function of one tensor as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


SPELLINGS: dict[str, list[Callable[[Tensor], Tensor]]] = {
    "linear": [lambda x: F.linear(x, torch.ones(2, 3)), lambda x: F.linear(x, weight=torch.ones(2, 3))],
    "add": [lambda x: x + 1, lambda x: 1 + x, lambda x: torch.add(x, 1), lambda x: x.add(1)],
    "sub": [lambda x: x - 1, lambda x: 1 - x, lambda x: torch.sub(x, 1), lambda x: x.sub(1)],
    "mul": [lambda x: x * 2, lambda x: 2 * x, lambda x: torch.mul(x, x), lambda x: x.mul(x)],
    "div": [lambda x: x / 2, lambda x: 2 / x, lambda x: torch.div(x, 2), lambda x: x.div(2)],
    "neg": [lambda x: -x, torch.neg, lambda x: x.neg()],
    "abs": [abs, torch.abs, lambda x: x.abs()],
    "sign": [torch.sign, lambda x: x.sign()],
    "log": [torch.log, lambda x: x.log()],
    "exp": [torch.exp, lambda x: x.exp()],
    "tanh": [torch.tanh, lambda x: x.tanh(), nn.Tanh()],
    "sigmoid": [torch.sigmoid, lambda x: x.sigmoid(), F.sigmoid],
    "sinh": [torch.sinh, lambda x: x.sinh()],
    "asinh": [torch.asinh, lambda x: x.asinh(), torch.arcsinh, lambda x: x.arcsinh()],
    "cos": [torch.cos, lambda x: x.cos()],
    "clamp": [lambda x: torch.clamp(x, 0, 1), lambda x: x.clamp(min=0, max=1), lambda x: torch.clip(x, 0, 1)],
    "prod": [lambda x: torch.prod(x, dim=-1), lambda x: x.prod(-1, keepdim=True)],
    "unsqueeze": [lambda x: torch.unsqueeze(x, -2), lambda x: x.unsqueeze(dim=-2)],
}


def _calls(graph_module: fx.GraphModule) -> list[str]:
    found = [primitive_of(node) for node in graph_module.graph.nodes]
    return [primitive.name for primitive in found if primitive is not None]


def test_every_primitive_has_a_spelling_here() -> None:
    # cast is made by the package itself, never traced.
    assert set(SPELLINGS) == {primitive.name for primitive in BY_FUNCTION.values()} - {"cast"}


@pytest.mark.parametrize(
    ("name", "function"), [(name, function) for name, functions in SPELLINGS.items() for function in functions]
)
def test_every_spelling_is_its_primitive_and_keeps_its_value(name: str, function: Callable[[Tensor], Tensor]) -> None:
    layer = _Formula(function)
    graph_module = trace(layer)
    x = torch.tensor([[-1.5, 0.25, 2.0]])
    assert name in _calls(graph_module)
    torch.testing.assert_close(graph_module(x), layer(x), rtol=0, atol=0, equal_nan=True)


def test_a_nalu_is_a_dozen_primitives_and_keeps_its_parameter_names(nalu: NALU) -> None:
    graph_module = trace(nalu)
    assert set(_calls(graph_module)) == {
        "tanh", "sigmoid", "mul", "linear", "abs", "add", "log", "exp", "neg"
    }  # fmt: skip
    assert set(graph_module.state_dict()) == set(nalu.state_dict())
    x = torch.randn(7, 4)
    torch.testing.assert_close(graph_module(x), nalu(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.erf(x), r"calls torch\.erf, which is not a primitive .* linear, .*add, sub"),
        (lambda x: x.softmax(-1), r"calls Tensor\.softmax, which is not a primitive"),
        (lambda x: torch.add(x, x, alpha=2), r"calls torch\.add with alpha, which is not a primitive"),
        (lambda x: x if x.sum() > 0 else -x, r"_Formula cannot be traced"),
        (lambda x: (x, x), r"takes 1 inputs and returns tuple; an arithmetic layer takes one tensor"),
    ],
)
def test_what_has_no_primitive_is_refused_by_name(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        trace(_Formula(function))


def test_a_model_keeps_its_backbone_opaque_and_opens_its_arithmetic(image_model: BackboneHead) -> None:
    graph_module = trace_model(image_model)
    modules = [str(node.target) for node in graph_module.graph.nodes if node.op == "call_module"]
    assert modules == ["backbone", "reduce"]
    assert "exp" in _calls(graph_module)
    x = torch.rand(2, 1, 9, 8)
    torch.testing.assert_close(graph_module(x), image_model(x))


def test_a_backbone_with_branches_on_values_is_no_obstacle() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    model = nn.Sequential(Branching(), NALU(3, 1))
    assert "log" in _calls(trace_model(model))


def test_values_that_nothing_uses_leave_the_graph() -> None:
    def function(x: Tensor) -> Tensor:
        torch.exp(x)
        return torch.log(x)

    assert _calls(trace(_Formula(function))) == ["log"]
