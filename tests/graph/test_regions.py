"""nalu_export.graph.regions: which parts of a model are arithmetic, and why."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NAC, NALU, ArithmeticLayer, InputError, NACCell, NALUCell, UnsupportedLayerError
from nalu_export.graph import ModelGraph, capture, primitive_of
from nalu_export.graph.example import Example
from nalu_export.graph.subgraphs import Spec
from tests.captured import graph_of


def _images(model: nn.Module, *arithmetic: str | type[nn.Module]) -> ModelGraph:
    return capture(model.eval(), Example.of(torch.rand(3, 1, 6, 6) + 0.1), arithmetic)


def _found(graph: ModelGraph) -> dict[str, str]:
    return {name: subgraph.why for name, subgraph in graph.subgraphs.items()}


def _primitives(graph: ModelGraph, name: str) -> list[str]:
    nodes = graph.subgraphs[name].module.graph.nodes
    return [primitive.name for primitive in map(primitive_of, nodes) if primitive is not None]


class _Function(nn.Module):
    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.rand(3, 3) + 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self)


def _opaque() -> nn.Module:
    """Something that is no arithmetic, before or after features."""
    return nn.BatchNorm1d(3).eval()


def test_what_makes_code_arithmetic() -> None:
    for function, why in (
        (lambda x, p: torch.log(x.abs() + 1), "it computes log of a value that depends on the input"),
        (lambda x, p: torch.exp(x), "it computes exp of a value that depends on the input"),
        (lambda x, p: x.abs() ** p.w[0], "it computes pow of a value that depends on the input"),
        (lambda x, p: x.prod(1, keepdim=True), "it computes prod of a value that depends on the input"),
        (lambda x, p: torch.sqrt(x.abs()), "it computes sqrt of a value that depends on the input"),
        (lambda x, p: torch.log1p(x.abs()), "it computes log1p of a value that depends on the input"),
        (lambda x, p: p.w[0] / (x * x + 1), "it divides by a value that depends on the input"),
        (lambda x, p: x @ torch.tanh(p.w), "its weights are computed by tanh"),
        (lambda x, p: x @ (torch.tanh(p.w) * torch.sigmoid(p.w)), "its weights are computed by tanh and sigmoid"),
        (lambda x, p: x * p.w[0].clamp(0, 1), "its weights are computed by clamp"),
        (lambda x, p: x @ p.w, "it multiplies by a weight matrix outside the layers of torch"),
    ):
        graph = graph_of(nn.Sequential(_opaque(), _Function(function)), (3,))
        assert _found(graph) == {"1": why}


def test_what_a_network_does_anyway_is_none() -> None:
    """Layers, activations that are made of exponentials, norms, and quotients by numbers."""
    layers = [
        nn.Linear(3, 3), nn.ReLU(), nn.ELU(), nn.Softplus(), nn.SiLU(), nn.LogSigmoid(), nn.Sigmoid(), nn.Tanh(),
        nn.GELU(), nn.LeakyReLU(), nn.BatchNorm1d(3), nn.LayerNorm(3), nn.Softmax(1), nn.Dropout(),
    ]  # fmt: skip
    assert _found(graph_of(nn.Sequential(*layers).eval(), (3,))) == {}
    assert _found(graph_of(_Function(lambda x, p: F.softplus(F.elu(x)) / 3.0 + F.silu(x)), (3,))) == {}
    # Arithmetic beside them does not make them arithmetic.
    net = nn.Sequential(nn.Linear(3, 3), nn.Softplus(), nn.LayerNorm(3), NAC(3, 3), nn.LayerNorm(3), nn.ELU()).eval()
    assert list(_found(graph_of(net, (3,)))) == ["3"]


def test_the_largest_module_that_is_nothing_else() -> None:
    stack = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), NALU(4, 5, 2), nn.Linear(2, 3))
    assert list(graph_of(stack).subgraphs) == [""]
    assert list(graph_of(nn.Sequential(_opaque(), stack), (3,)).subgraphs) == ["1"]
    # A list is no module that runs.
    model = _images(nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(3, 2), NAC(2, 1)))
    assert list(model.subgraphs) == ["3", "4"]


class _Inline(nn.Module):
    """A CNN with arithmetic in its own forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.w_hat, self.m_hat, self.G = (nn.Parameter(torch.randn(3, 3)) for _ in range(3))
        self.last = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x)).mean((2, 3)).flatten(1)
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        a = F.linear(x, w)
        m = torch.exp(F.linear(torch.log(x.abs().clamp(min=1e-7)), w))
        g = torch.sigmoid(F.linear(x, self.G))
        y: Tensor = self.last(F.relu(g * a + (1 - g) * m))
        return y


def test_a_region_of_a_larger_forward() -> None:
    graph = _images(_Inline())
    assert list(graph.subgraphs) == ["arithmetic"]
    assert "it computes log of a value that depends on the input" in graph.subgraphs["arithmetic"].why
    names = _primitives(graph, "arithmetic")
    # Without the activation and the pooling before it, and with the ε of the logarithm.
    assert names.count("clamp") == 2
    assert names[-2:] == ["add", "clamp"]
    assert not {"mean", "flatten"} & set(names)
    assert graph.subgraphs["arithmetic"].inputs == (Spec((3, 3), torch.float32),)
    x = torch.rand(2, 1, 7, 9)
    torch.testing.assert_close(graph.host(x), graph.module(x))  # type: ignore[misc]


def test_a_clamp_that_is_an_epsilon_is_kept_at_the_edge() -> None:
    graph = graph_of(_Between(lambda x, p: torch.log(x.clamp(min=1e-3)).clamp(max=2.0)), (3,))
    assert _primitives(graph, "arithmetic") == ["clamp", "log", "clamp"]
    graph = graph_of(_Between(lambda x, p: torch.exp(F.relu(x)).unsqueeze(1).flatten(1)), (3,))
    assert _primitives(graph, "arithmetic") == ["exp"]


class _Between(nn.Module):
    """A function between two norms."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function, self.before, self.after = function, _opaque(), _opaque()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.after(self.function(self.before(x), self))
        return y


def test_a_region_is_convex() -> None:
    """What leaves it for opaque code and comes back would have to run before itself."""
    graph = graph_of(_Between(lambda x, p: (lambda e: e * torch.log(torch.cumsum(e, 1)))(torch.exp(x))), (3,))
    assert len(graph.subgraphs) == 2
    x = torch.rand(4, 3)
    torch.testing.assert_close(graph.host(x), graph.module(x))  # type: ignore[misc]


def test_adjacent_regions_stay_apart_from_modules() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.cell, self.other = _opaque(), NALUCell(3, 3), NACCell(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = torch.exp(-self.cell(self.norm(x)).abs())
            z: Tensor = self.norm(torch.log(self.other(y).abs() + 1.0))
            return z

    graph = graph_of(Net())
    assert list(graph.subgraphs) == ["cell", "arithmetic", "other", "arithmetic_2"]
    x = torch.rand(4, 3)
    torch.testing.assert_close(graph.host(x), graph.module(x))  # type: ignore[misc]


def test_regions_of_one_forward_that_nothing_connects() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = _opaque(), _opaque()

        def forward(self, x: Tensor) -> Tensor:
            left, right = torch.exp(self.left(x)), torch.log(self.right(x).abs() + 1)
            return torch.cat([torch.cumsum(left, 1), torch.cumsum(right, 1)], 1)

    graph = graph_of(Net().eval(), (3,))
    x = torch.rand(4, 3)
    torch.testing.assert_close(graph.host(x), graph.module(x))  # type: ignore[misc]


# Named by the user ----------------------------------------------------------------------------------------------------


def test_by_class_and_by_path() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3), NALU(3, 2), NAC(2, 1)
    )
    assert _found(_images(model, nn.Linear)) == {"3": "the user named it"}
    assert list(_images(model, "4.layers.0", NAC).subgraphs) == ["4.layers.0", "5"]
    # What is inside of another that was named is part of it.
    assert list(_images(model, "4", NALUCell).subgraphs) == ["4"]
    assert list(_images(model, ArithmeticLayer).subgraphs) == ["4", "5"]


def test_a_name_of_nothing() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(3, 2))
    text = (
        "arithmetic is 'tail', but the model runs no module of that path or class; it runs '0', '1', "
        "'2', '3', '3.layers.0'"
    )
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        _images(model, "tail")
    with pytest.raises(InputError, match=r"^arithmetic is 'NAC', but the model runs no module of that path or class"):
        _images(model, NAC)


def test_what_is_not_made_of_primitives() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(3, 2))
    with pytest.raises(UnsupportedLayerError, match=r"^Conv2d calls the module 0, which is not a primitive; "):
        _images(model, nn.Conv2d)
    with pytest.raises(UnsupportedLayerError, match=r"^_Cumulative calls torch\.cumsum, which is not a primitive"):
        graph_of(nn.Sequential(_opaque(), _Cumulative()), (3,))


class _Cumulative(ArithmeticLayer):
    """A layer of ours, by its own word, that is more than primitives."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(torch.cumsum(x, 1))


def test_the_refusal_of_a_layer_lists_what_there_is() -> None:
    with pytest.raises(UnsupportedLayerError) as caught:
        graph_of(_Cumulative(), (3,))
    assert "; write it with: add, sub, mul, div" in str(caught.value)
    assert "cast" not in str(caught.value)
