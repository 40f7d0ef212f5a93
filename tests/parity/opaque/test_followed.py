"""nalu_export.parity.opaque.followed: errors of many calls together."""

import copy

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export.modules.copying import in_double
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.opaque import followed, linear_maps
from nalu_export.parity.opaque.allowance import Allowance
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import Profile
from tests.alone import analysed
from tests.captured import graph_of


def _deep(depth: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Conv2d(8 if index else 3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def _analysis(module: nn.Module) -> ErrorAnalysis:
    return ErrorAnalysis(fx.symbolic_trace(copy.deepcopy(module).double()))


@torch.no_grad()
def _features(module: nn.Module, x: Tensor) -> Conditioned:
    return analysed(_analysis(module), x.double(), Profile())


@torch.no_grad()
def test_the_bound_of_a_deep_network_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    module, x = _deep(), torch.randn(4, 3, 12, 12)
    found = _features(module, x)
    off = (module(x).double() - found.value).abs()
    assert bool((off <= found.radius).all())
    typical = float(found.value.abs().mean())
    assert float(found.radius.max()) < 1e-3 * typical
    # With |W| of every layer it says nothing.
    plain = linear_maps._allowance

    def by_formula(*args: object) -> Allowance:
        allowance = plain(*args)  # type: ignore[arg-type]
        return Allowance(allowance.own, allowance.carry)

    monkeypatch.setattr(linear_maps, "_allowance", by_formula)
    assert float(_features(module, x).radius.median()) > 1e3 * float(found.radius.median())


@torch.no_grad()
def test_behind_a_value_that_may_be_anything_nothing_is_known() -> None:
    """The gate's argument is 1.1e7 − 1.1e7 and a little: it is 0.3 or 0.7, and moves what is behind it by much."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(1, 1, 1), nn.Conv1d(1, 1, 1)
            self.register_buffer("w", torch.tensor([[1.1, -1.1]]))

        def forward(self, x: Tensor) -> Tensor:
            gate = torch.sigmoid(F.linear(x, self.get_buffer("w")))
            h = self.first((gate * torch.exp(x[:, :1] * 1e-7)).unsqueeze(1))
            y: Tensor = self.second(torch.sin(40.0 * h))
            return y.flatten(1)

    graph = graph_of(Net(), (2,))
    x = torch.tensor([[1e7, 1e7 - 1.0], [2.0, 1.0]])
    found = analysed(ErrorAnalysis(in_double(graph.flat)), x.double(), Profile())
    assert bool(found.radius[0].isinf())
    assert float(found.radius[1]) < 1e-3


@torch.no_grad()
def test_nothing_depends_on_the_batch_or_on_nesting() -> None:
    module, x = _deep(3), torch.randn(5, 3, 9, 7)
    found = _features(module, x)
    alone = [_features(module, sample[None]).radius for sample in x]
    torch.testing.assert_close(torch.cat(alone), found.radius, rtol=0.05, atol=0)
    layers = list(module)
    nested = nn.Sequential(nn.Sequential(*layers[:2], nn.Sequential(*layers[2:7])), nn.Sequential(*layers[7:]))
    other = _features(nested.eval(), x)
    torch.testing.assert_close(other.value, found.value, rtol=0, atol=0)
    torch.testing.assert_close(other.radius, found.radius, rtol=1e-9, atol=0)


@torch.no_grad()
def test_primitives_between_calls_are_followed_too() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second, self.last = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x)
            found: Tensor = self.last(torch.tanh(h + self.second(h) * 0.5) / 3.0)
            return found

    module, x = Residual().eval(), torch.randn(3, 4, 6, 6)
    found = _features(module, x)
    off = (module(x).double() - found.value).abs()
    assert bool((off <= found.radius).all())
    assert float((off / found.radius).max()) > 1e-3


@torch.no_grad()
def test_perturbed_values_are_dropped_when_nothing_asks_for_them() -> None:
    module = _deep(6)
    kept: list[int] = []
    made: list[str] = []
    settle, make = followed.Followed.settle, followed.Followed._make

    def counting(self: followed.Followed, node: fx.Node, own: object) -> None:
        settle(self, node, own)
        kept.append(len(self._runs))

    def recording(self: followed.Followed, node: fx.Node) -> list[object]:
        made.append(node.name)
        return make(self, node)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(followed.Followed, "settle", counting)
        patch.setattr(followed.Followed, "_make", recording)
        _features(module, torch.randn(2, 3, 8, 8))
    assert 1 <= max(kept) <= 3
    assert len(made) == len(set(made)) >= 15  # none of them twice


@torch.no_grad()
def test_what_is_exact_stays_exact() -> None:
    module = nn.Sequential(nn.Identity(), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Unflatten(1, (1, 4)))
    found = _features(module, torch.randn(2, 1, 4, 4))
    assert not bool(found.radius.any())
    # A channel that is never above 0 is exactly 0, whatever its convolution is off by.
    convolution = nn.Conv2d(1, 2, 3)
    convolution.bias[0] = -1e6  # type: ignore[index]
    found = _features(nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1)), torch.rand(2, 1, 5, 5) + 10.0)
    assert not bool(found.radius[:, 0].any())
