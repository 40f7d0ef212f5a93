"""nalu_export.graph.reading.recipes and computing: a value as a line, and the line as a value."""

import operator
import time
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from nalu_export.graph.reading import RecipeError, compute, quoted, read, recipe
from nalu_export.graph.reading.computing import MAX_NUMBERS
from nalu_export.graph.reading.recipes import LONGEST, WORDS
from tests.captured import graph_of
from tests.handwritten.cells import CELL_SHAPE, CELLS

TENSORS = {"W": torch.tensor([[1.0, -2.0], [3.0, 0.5]]).double(), "b": torch.tensor([1.0, 2.0]).double()}


def _one_line(error: RecipeError) -> None:
    assert "\n" not in str(error)


def value(line: str) -> Any:
    return compute(line, TENSORS.get)


def test_every_weight_is_what_its_line_gives() -> None:
    lines = set()
    for name, build in CELLS.items():
        for reading in read(graph_of(build(), CELL_SHAPE)):
            form, module = reading.form, reading.form.module
            for layer in reading.layers:
                for weight in layer.weights:
                    line = recipe(weight.product.constant, form.parameter)
                    assert line is not None, name
                    found = compute(line, lambda target: module.get_submodule("").get_parameter(target).double())  # noqa: B023
                    torch.testing.assert_close(found, form.value(weight.product.constant), msg=f"{name}: {line}")
                    lines.add(line)
    assert {"tanh(w_hat)·sigmoid(m_hat)", "transpose(tanh(W_hat)·sigmoid(M_hat), 0, 1)", "clamp(w, 0, 1)"} <= lines
    assert "tanh(4·slice(gates, 0, 0, 2))·sigmoid(4·slice(gates, 0, 2, 4))" in lines


class Odd(nn.Module):
    """Names that are no identifiers, and signs, quotients and sums in every order."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("a-b", nn.Parameter(torch.rand(2, 2) + 1))
        self.d = nn.Parameter(torch.rand(2, 2) + 1)

    def forward(self, x: Tensor) -> Tensor:
        a, d = getattr(self, "a-b"), self.d
        W = torch.tanh(-(a * d) / (a / d) - (a - (d - -1.5)) * (2 - a) + 1e-3 / (d + a))
        return torch.exp(torch.nn.functional.linear(x, W))


def test_parentheses_and_names() -> None:
    (reading,) = read(graph_of(Odd().eval(), (2,)))
    weight = next(weight for layer in reading.layers for weight in layer.weights)
    line = recipe(weight.product.constant, reading.form.parameter)
    assert line == 'tanh(-("a-b"·d) / ("a-b" / d) - ("a-b" - (d - (-1.5)))·(2 - "a-b") + 0.001 / (d + "a-b"))'
    held = dict(reading.form.module.get_submodule("").named_parameters())
    found = compute(line, lambda name: held[name].detach().double())
    torch.testing.assert_close(found, reading.form.value(weight.product.constant))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("W", [[1.0, -2.0], [3.0, 0.5]]),
        ("-W + 1", [[0.0, 3.0], [-2.0, 0.5]]),
        ("2·-W / 4 - 1e-0", [[-1.5, 0.0], [-2.5, -1.25]]),
        ("(W - b)·b", [[0.0, -8.0], [2.0, -3.0]]),
        ("W - (b - 1)", [[1.0, -3.0], [3.0, -0.5]]),
        ("clamp(W, 0, 1)", [[1.0, 0.0], [1.0, 0.5]]),
        ("clamp(W, None, 0.5)", [[0.5, -2.0], [0.5, 0.5]]),
        ("linear(W, W, b)", [[6.0, 4.0], [3.0, 11.25]]),
        ("slice(W, 1, 0, 1)", [[1.0], [3.0]]),
        ('stack(["b", 2·b], 0)', [[1.0, 2.0], [2.0, 4.0]]),
        ("gt(W, 0.75)", [[True, False], [True, False]]),
        ("sum(W, -1)", [-1.0, 3.5]),
    ],
)
def test_a_line(line: str, expected: Any) -> None:
    assert value(line).tolist() == expected


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "a formula lacks a value"),
        ("W +", "a formula lacks a value"),
        ("W W", "a formula has something after its end"),
        ("(W", r"a formula lacks a \)"),
        ("stack([W, W)", r"a formula lacks a \]"),
        ("M", "the file has no tensor 'M'"),
        ('"x\\"y"', r"the file has no tensor 'x\"y'"),
        ('"\\x"', "a formula has a name with invalid quotes"),
        ("W; W", "a formula has ';' where a value or an operator should be"),
        ("0.weight", "a formula has '0' where .*"),
        ("__import__(W)", "a formula calls '__import__', which is not a primitive"),
        ("cast(W, W)", "a formula calls 'cast', which is not a primitive"),
        ("1 + 2", "a formula gives no tensor"),
        ("tanh(W, W, W)", "tanh: .+"),
        ("-None", "a formula negates something that is not a number"),
        ("linear(W, transpose(W, 0, 5))", "transpose: .+"),
        ("W + stack([b, b, b], 0)", "add: .+"),
        (
            "expand(unsqueeze(W, 0), [100000, 2, 2])·expand(unsqueeze(W, 1), [2, 100000, 2])",
            ".*: .+|.* too many numbers",
        ),
        ("expand(reshape(W, [1, 4]), [9999999, 4])", "a formula needs too many numbers or operations"),
        ("(" * 60 + "W" + ")" * 60, "a formula is nested too deeply"),
        ("W" + " + W" * LONGEST, "a formula is too long"),
    ],
)
def test_a_line_that_is_none(line: str, text: str) -> None:
    with pytest.raises(RecipeError, match=f"^(?:{text})$") as caught:
        value(line)
    assert "\n" not in str(caught.value)


def test_no_line_takes_long() -> None:
    """As much as the limits allow, 300 times over."""
    wide = torch.rand(1, 2000, dtype=torch.float64)
    line = " + ".join(["tanh(x·transpose(x, 0, 1))"] * 60)
    start = time.monotonic()
    with pytest.raises(RecipeError, match="too many numbers"):
        compute(line, {"x": wide}.get)
    assert time.monotonic() - start < 60


def test_a_tensor_that_is_larger_than_the_limit_itself() -> None:
    wide = torch.full((2049, 4096), 0.5)
    assert wide.numel() > MAX_NUMBERS
    found = compute("tanh(W_hat)·sigmoid(W_hat)", {"W_hat": wide}.get)
    assert found.shape == wide.shape
    assert torch.equal(found[0, :1], torch.tanh(wide[0, :1]) * torch.sigmoid(wide[0, :1]))


@given(st.text(alphabet='W_b.()[]+-·/,"0123456789e tanhsoftmaxNone', max_size=40))
def test_any_line(line: str) -> None:
    try:
        value(line)
    except RecipeError as error:
        _one_line(error)


@given(st.sampled_from([*WORDS, "W", "0", "a b", '"', "\\"]) | st.text(min_size=1, max_size=20))
def test_any_name(name: str) -> None:
    assert compute(quoted(name), {name: TENSORS["b"]}.get).tolist() == [1.0, 2.0]


def test_a_line_that_would_be_too_long_is_none() -> None:
    graph = fx.Graph()
    node = graph.get_attr("W")
    for _ in range(12):
        node = graph.call_function(operator.add, (node, node))
    assert recipe(node, lambda found: "W" if found.op == "get_attr" else None) is None
    assert recipe(graph.call_function(torch.fft.fft, (node,)), lambda _: None) is None
