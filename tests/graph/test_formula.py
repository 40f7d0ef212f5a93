"""graph.formula: the graph as lines that a person can read, and that compute the same."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, ArithmeticLayer, NALUCell
from nalu_export.graph import Example, capture, formulas, well_conditioned
from tests.captured import form_of, graph_of, primitives_of


def test_a_nalu() -> None:
    assert formulas(primitives_of(NALUCell(3, 2))) == [
        "W = tanh(W_hat) * sigmoid(M_hat)",
        "a = linear(x, W)",
        "m = exp(linear(log(abs(x) + 1e-10), W))",
        "z = linear(x, G)",
        "g = sigmoid(z)",
        "h = sigmoid(-z)",
        "y = g * a + h * m",
    ]


def test_as_a_file_computes_it() -> None:
    form = well_conditioned(form_of(NALU(3, 2), "folded", "float64"))
    assert formulas(form) == [
        "layers.0.a = linear(x, layers.0.W)",
        "layers.0.m = exp(linear(log(abs(x) + 1e-10), layers.0.W))",
        "layers.0.z = linear(x, layers.0.G)",
        "layers.0.y = layers.0.a / (exp(-layers.0.z) + 1) + layers.0.m / (exp(layers.0.z) + 1)",
    ]


class _Brackets(ArithmeticLayer):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        p = (x - (self.w + 1.0)) * (x + 0.5)
        q = x / (self.w * 2.0)
        r = q - (p - x)
        s = -(x + self.w) / (q / p)
        return torch.clamp(r, min=-1.0) + s * x


def test_brackets_stand_where_they_are_needed() -> None:
    layer = _Brackets()
    lines = formulas(primitives_of(layer))
    assert lines == [
        "p = (x - (w + 1)) * (x + 0.5)",
        "q = x / (w * 2)",
        "r = q - (p - x)",
        "s = -(x + w) / (q / p)",
        "y = clamp(r, -1) + s * x",
    ]
    # The lines are Python as well: run them.
    x = np.linspace(-3.0, 3.0, 30).reshape(10, 3)
    names = {"x": x, "w": layer.w.detach().double().numpy(), "clamp": np.maximum}
    for line in lines:
        exec(line, {}, names)
    torch.testing.assert_close(torch.from_numpy(names["y"]), layer.double()(torch.from_numpy(x)).detach())


def test_a_result_without_a_name_of_its_own() -> None:
    assert formulas(primitives_of(nn.Sequential(NAC(2, 1))))[-1] == "0.layers.0.y = linear(x, 0.layers.0.W)"
    # Built from text, a layer has no source to take names from.
    scope: dict[str, type[ArithmeticLayer]] = {"ArithmeticLayer": ArithmeticLayer}
    exec("class Bare(ArithmeticLayer):\n    def forward(self, x):\n        return abs(x) * 2.0\n", scope)
    assert formulas(primitives_of(scope["Bare"](), (2,))) == ["y = abs(x) * 2"]


def test_several_results() -> None:
    """A region of a larger forward may have more than one."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            size = torch.log(torch.abs(x) + 1.0)
            left, right = torch.exp(size), size * 2.0
            both: Tensor = self.first(left) + self.second(right)
            return both

    subgraph = graph_of(Two().eval(), (2, 3)).subgraphs["arithmetic"]
    assert formulas(subgraph.module) == ["size = log(abs(x) + 1)", "y = exp(size)", "y_2 = size * 2"]


def test_several_inputs_and_results_have_names_of_their_own() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            ratio = torch.log(torch.abs(a) + 1.0) - torch.log(torch.abs(b) + 1.0)
            return ratio * 2.0, torch.exp(ratio)

    found = capture(Two().eval(), Example.of(torch.ones(2, 3), torch.ones(2, 3)))
    lines = formulas(found.subgraphs[""].module)
    assert lines[0] == "ratio = log(abs(x) + 1) - log(abs(x_2) + 1)"
    assert sorted(line.partition(" = ")[0] for line in lines[1:]) == ["y", "y_2"]
    assert sorted(line.partition(" = ")[2] for line in lines[1:]) == ["exp(ratio)", "ratio * 2"]


@pytest.mark.parametrize("value", [1e-10, 0.1, 3.0])
def test_a_number_keeps_what_matters_of_it(value: float) -> None:
    (line,) = [line for line in formulas(primitives_of(NALUCell(1, 1, eps=min(value, 1.0)))) if "log" in line]
    assert f"+ {min(value, 1.0):g}" in line


class _Deep(nn.Module):
    """Values without names in one another, each read as often as it says."""

    def __init__(self, depth: int, reads: int) -> None:
        super().__init__()
        self.depth, self.reads = depth, reads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.nested(x, self.depth)

    def nested(self, x: torch.Tensor, depth: int) -> torch.Tensor:
        """A loop would give them a name."""
        return x if depth == 0 else self.nested(torch.exp(x) if self.reads == 1 else torch.mul(x, x), depth - 1)


@pytest.mark.parametrize(("depth", "reads"), [(400, 1), (60, 2)])
def test_what_is_deep_or_read_twice_gets_a_line(depth: int, reads: int) -> None:
    """Else 400 expressions stand in one another, and 2⁶⁰ side by side."""
    example = Example.of(torch.ones(2, 3))
    lines = formulas(capture(_Deep(depth, reads), example).flat)
    assert len(lines) < depth
    assert max(map(len, lines)) < 1000
    assert lines[-1].startswith("y = ")
