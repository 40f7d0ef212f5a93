"""nalu_export.graph.rewrites: the same function of real numbers, accurate where the source's own form is not."""

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from nalu_export import NALU
from nalu_export.graph import primitive_of, well_conditioned
from nalu_export.graph.rewrites import without_cancellation
from nalu_export.modules.copying import copied
from tests.captured import primitives_of

Function = Callable[..., Tensor]


class _Formula(nn.Module):
    """A function of ``x (batch, 4)``; ``p.one`` is a parameter that happens to be 1, ``p.ones`` a buffer."""

    ones: Tensor

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function
        self.one = nn.Parameter(torch.ones(1))
        self.middle = nn.Parameter(torch.full((1,), 0.5))
        self.W = nn.Parameter(torch.rand(4) + 0.25)
        self.register_buffer("ones", torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        # A power, so that there is arithmetic in every one of them.
        return self.function(x, self) * torch.exp(x * 0.0)


def _graph(function: Function) -> fx.GraphModule:
    return primitives_of(_Formula(function), (4,))


def _names(graph_module: fx.GraphModule) -> list[str]:
    return [p.name for p in map(primitive_of, graph_module.graph.nodes) if p is not None]


# Positive, and far enough from 0 for σ to round to 1.
X = torch.tensor([[0.01, 3.0, 45.0, 300.0], [20.0, 1.0, 37.0, 700.0]], dtype=torch.float64)


def _same(function: Function, expected: Callable[[Tensor], Tensor]) -> None:
    """The rewritten graph is the expected function to the last digits where the source's own form has lost them."""
    graph = _graph(function)
    written = copied(graph).double()
    assert without_cancellation(graph)
    found = graph.double()(X)
    torch.testing.assert_close(found, expected(X), rtol=1e-14, atol=0)
    assert not torch.allclose(written(X), expected(X), rtol=1e-3, atol=0)


def _gate(x: Tensor) -> Tensor:
    return torch.sigmoid(x)


def test_one_minus_a_gate_in_every_spelling() -> None:
    spellings: dict[str, Function] = {
        "1 - g": lambda x, p: 1 - _gate(x),
        "1.0 - g": lambda x, p: 1.0 - _gate(x),
        "-g + 1": lambda x, p: -_gate(x) + 1,
        "1 + (-g)": lambda x, p: 1 + (-_gate(x)),
        "-(g - 1)": lambda x, p: -(_gate(x) - 1),
        "rsub": lambda x, p: torch.rsub(_gate(x), 1),
        "sub": lambda x, p: torch.sub(torch.ones_like(x), _gate(x)),
        "-1 * g + 1": lambda x, p: -1 * _gate(x) + 1,
        "neg, add": lambda x, p: torch.add(torch.neg(_gate(x)), 1.0),
        "ones of a buffer": lambda x, p: p.ones - _gate(x),
        "in place": lambda x, p: torch.sigmoid(x).neg_().add_(1),
        "expit": lambda x, p: 1 - torch.special.expit(x),
        "by a module": lambda x, p: 1 - nn.Sigmoid()(x),
        "a view of it": lambda x, p: (1 - _gate(x).unsqueeze(-1)).squeeze(-1),
        "views of views": lambda x, p: (1 - _gate(x).view(-1, 2, 2).transpose(1, 2)).transpose(1, 2).flatten(1),
        "an expanded one": lambda x, p: (1 - _gate(x).unsqueeze(1).expand(-1, 3, -1))[:, 1],
        "selected": lambda x, p: torch.stack([1 - _gate(x)[:, k] for k in range(4)], 1),
        "twice the same": lambda x, p: ((1 - _gate(x)) + (1 - _gate(x))) / 2,
    }
    for name, function in spellings.items():
        try:
            _same(function, lambda x: torch.sigmoid(-x))
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_of_a_negation_no_second_one_is_written() -> None:
    graph = _graph(lambda x, p: 1 - torch.sigmoid(-x))
    assert without_cancellation(graph)
    assert "neg" not in _names(graph)
    assert torch.equal(graph.double()(-X), torch.sigmoid(-X))


def test_a_blend_of_two_in_every_spelling() -> None:
    """``b + g·(a − b)``: the other share is ``σ(−x)``, and ``b`` is as large as that is small."""

    def expected(x: Tensor) -> Tensor:
        return torch.sigmoid(x) * x + torch.sigmoid(-x) * torch.exp(x)

    spellings: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "lerp": lambda a, b, g: torch.lerp(b, a, g),
        "Tensor.lerp": lambda a, b, g: b.lerp(a, weight=g),
        "written out": lambda a, b, g: b + g * (a - b),
        "the other way round": lambda a, b, g: (a - b) * g + b,
        "subtracted": lambda a, b, g: b - g * (b - a),
        "two shares": lambda a, b, g: g * a + (1 - g) * b,
        "addcmul": lambda a, b, g: torch.addcmul(b, g, a - b),
    }
    x = X.clamp(max=600.0)
    for name, blend in spellings.items():
        graph = _graph(lambda x, p, blend=blend: blend(x * 1.0, torch.exp(x), torch.sigmoid(x)))
        written = copied(graph).double()
        assert without_cancellation(graph), name
        torch.testing.assert_close(graph.double()(x), expected(x), rtol=1e-13, atol=0, msg=name)
        assert not torch.allclose(written(x), expected(x), rtol=1e-3, atol=0), name


def test_a_gate_of_one_row_blends_too() -> None:
    """One gate for all: a view between it and what it scales."""
    graph = _graph(lambda x, p: torch.lerp(torch.exp(x), x * 1.0, torch.sigmoid(x[:, 3]).unsqueeze(1)))
    assert without_cancellation(graph)
    g, h = torch.sigmoid(X[:, 3:]), torch.sigmoid(-X[:, 3:])
    torch.testing.assert_close(graph.double()(X), g * X + h * torch.exp(X), rtol=1e-13, atol=0)


def test_a_comparison_with_a_half_is_one_with_zero() -> None:
    """σ of the smallest numbers rounds to a half."""
    x = torch.tensor([[-1e-30, 1e-30, -3.0, 0.0]])
    for name, function, expected in (
        ("gt", lambda x, p: (torch.sigmoid(x) > 0.5).float(), x > 0),
        ("ge", lambda x, p: (torch.sigmoid(x) >= 0.5).float(), x >= 0),
        ("lt", lambda x, p: torch.lt(torch.sigmoid(x), 0.5).float(), x < 0),
        ("a choice", lambda x, p: torch.where(torch.sigmoid(x) > 0.5, 1.0, x * 0.0), x > 0),
    ):
        graph = _graph(function)
        assert without_cancellation(graph), name
        assert torch.equal(graph(x), expected.float()), name
        assert "sigmoid" not in _names(graph), name


def test_constants_of_a_sum_are_added_first() -> None:
    """``x·W + 1 − W``: in float32 the 1 swallows what a small W leaves of it."""
    sums: list[tuple[str, Function, Function]] = [
        ("+ 1 - W", lambda x, p: x * p.W + 1 - p.W, lambda x, W: x * W + (1 - W)),
        ("1 + x W - W", lambda x, p: 1 + x * p.W - p.W, lambda x, W: x * W + (1 - W)),
        ("- W + 1", lambda x, p: x * p.W - p.W + 1, lambda x, W: x * W - (W - 1)),
        ("- 1 - W", lambda x, p: x * p.W - 1 - p.W, lambda x, W: x * W - (1 + W)),
        ("+ W + 1", lambda x, p: x * p.W + p.W + 1, lambda x, W: x * W + (W + 1)),
    ]
    for name, function, expected in sums:
        layer = _Formula(function)
        graph = primitives_of(layer, (4,))
        assert without_cancellation(graph), name
        W = layer.W.detach().double()
        assert torch.equal(graph.double()(X), expected(X, W) * torch.exp(X * 0.0)), name


def test_what_looks_alike_stays() -> None:
    looks_alike: dict[str, Function] = {
        "2 - g": lambda x, p: 2 - torch.sigmoid(x),
        "1 + g": lambda x, p: 1 + torch.sigmoid(x),
        "g - 1": lambda x, p: torch.sigmoid(x) - 1,
        "1.0000001 - g": lambda x, p: 1.0000001 - torch.sigmoid(x),
        "1 - tanh": lambda x, p: 1 - torch.tanh(x),
        "1 - a scaled gate": lambda x, p: 1 - 0.5 * torch.sigmoid(x),
        "1 - a square": lambda x, p: 1 - torch.sigmoid(x) ** 2,
        "1 - a sum": lambda x, p: 1 - torch.sigmoid(x).sum(1, keepdim=True),
        "1 - a clamped gate": lambda x, p: 1 - torch.sigmoid(x).clamp(0.1, 0.9),
        "1 - x": lambda x, p: 1 - x,
        "1 - a parameter": lambda x, p: (1 - p.W) * x,
        # Training may move it, and a live file is edited.
        "a parameter that is 1": lambda x, p: p.one - torch.sigmoid(x),
        "-2 g + 1": lambda x, p: -2 * torch.sigmoid(x) + 1,
        "no gate": lambda x, p: torch.exp(x) + torch.tanh(x) * (x - torch.exp(x)),
        "a weight of a parameter": lambda x, p: torch.lerp(x, x * x, p.one),
        "a weight of a number": lambda x, p: torch.lerp(x, x * x, 0.25),
        "another end": lambda x, p: (lambda b: x * x + torch.sigmoid(x) * (x - b))(torch.exp(x)),
        "a sum for a difference": lambda x, p: (lambda b: b + torch.sigmoid(x) * (x + b))(torch.exp(x)),
        "the wrong sign": lambda x, p: (lambda b: b - torch.sigmoid(x) * (x - b))(torch.exp(x)),
        "a half of another function": lambda x, p: (torch.tanh(x) > 0.5).float(),
        "another threshold": lambda x, p: (torch.sigmoid(x) > 0.25).float(),
        "a threshold that is learned": lambda x, p: (torch.sigmoid(x) > p.middle).float(),
        "the middle itself": lambda x, p: (torch.sigmoid(x) == 0.5).float(),
        "of data": lambda x, p: x * p.W + 1 - x,
        "two numbers": lambda x, p: x + 1 - 0.5,
        "of products": lambda x, p: x * p.W * 2 - p.W,
    }
    for name, function in looks_alike.items():
        graph = _graph(function)
        before = _names(graph)
        assert not without_cancellation(graph), name
        assert _names(graph) == before, name


def test_a_sum_that_is_read_elsewhere_keeps_its_constants() -> None:
    graph = _graph(lambda x, p: (lambda s: (s - p.W) * s)(x * p.W + 1))
    assert not without_cancellation(graph)


def test_only_what_is_inside_is_rewritten() -> None:
    graph = _graph(lambda x, p: 1 - torch.sigmoid(x))
    assert not without_cancellation(graph, lambda node: False)
    assert "sub" in _names(graph)


# Well-conditioned form ------------------------------------------------------------------------------------------------

USES: dict[str, Function] = {
    "alone": lambda x, p: torch.sigmoid(x),
    "of a negation": lambda x, p: torch.sigmoid(-x) * x,
    "on the right": lambda x, p: x * torch.sigmoid(x),
    "squared": lambda x, p: (lambda g: g * g)(torch.sigmoid(x)),
    "scaled": lambda x, p: 3.0 * torch.sigmoid(x),
    "shared": lambda x, p: torch.sigmoid(x) * x + torch.sigmoid(x) * torch.sigmoid(-x),
}


def test_the_function_stays_and_no_sigmoid_is_left() -> None:
    x = torch.tensor([[-700.0, -120.0, -40.0, -1.0], [0.0, 1.0, 40.0, 700.0]], dtype=torch.float64)
    for use, function in USES.items():
        layer = _Formula(function)
        form = well_conditioned(primitives_of(layer, (4,)))
        assert "sigmoid" not in _names(form), use
        torch.testing.assert_close(form(x), layer.double()(x), rtol=1e-14, atol=1e-300, msg=use)


def test_far_gates_keep_their_relative_accuracy_in_float32() -> None:
    form = well_conditioned(_graph(USES["alone"]))
    z = torch.linspace(-85.0, 85.0, 1000).reshape(-1, 4)
    exact = torch.sigmoid(z.double())
    assert float(((form(z).double() - exact) / exact).abs().max()) < 4 * 2.0**-24


def test_gates_beyond_the_range_of_exp_are_finite() -> None:
    value = well_conditioned(_graph(USES["alone"]))(torch.tensor([[-1e4, -89.0, 89.0, 1e4]]))
    assert torch.isfinite(value).all()


def test_a_negated_gate_needs_no_second_negation(nalu: NALU) -> None:
    # Two gates a cell, σ(z) and σ(−z): one Neg a cell, and one for the weight's σ(M_hat).
    assert _names(well_conditioned(primitives_of(nalu))).count("neg") == 4
