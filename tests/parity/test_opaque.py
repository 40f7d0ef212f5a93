"""nalu_export.parity.opaque: code that no rule knows is measured, and simple code is bounded."""

import copy
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export import NAC, BackboneHead
from nalu_export.graph import trace_model
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.opaque import JITTERS, SAFETY, OpaqueCalls
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import FLOAT32, TF32, TF32_FACTOR, Precision, Profile
from nalu_export.weights import fold
from tests.primitives.balls import TINY, U, ball, lanes, pairwise, sequential


class _Before(nn.Module):
    """Something opaque, then a layer, so that it is traced."""

    def __init__(self, function: Callable[[Tensor], Tensor] | nn.Module, width: int) -> None:
        super().__init__()
        self.function = function
        self.layer = NAC(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(self.function(x))
        return found


def _calls(function: Callable[[Tensor], Tensor] | nn.Module, width: int = 4) -> tuple[OpaqueCalls, fx.Node]:
    graph = trace_model(_Before(function, width).double())
    node = next(node for node in graph.graph.nodes if node.op != "placeholder")
    return OpaqueCalls(graph), node


def _of(
    calls: OpaqueCalls, node: fx.Node, x: Conditioned, precision: Precision = FLOAT32, *, calibrate: bool = False
) -> Conditioned:
    known = dict.fromkeys(node.all_input_nodes, x)
    with torch.no_grad():
        if calibrate:
            with calls.calibrating():
                calls(node, known, precision)
        found = calls(node, known, precision)
    assert isinstance(found, Conditioned)
    return found


def _flatten(x: Tensor) -> Tensor:
    return torch.flatten(x, 1)


def _largest(x: Tensor) -> Tensor:
    return torch.amax(x, dim=(2, 3))


@pytest.mark.parametrize("function", [_flatten, _largest, nn.Flatten(), nn.ReLU(), nn.MaxPool2d(2)])
def test_what_computes_nothing_is_exact_and_hands_the_radius_on(function: Callable[[Tensor], Tensor]) -> None:
    calls, node = _calls(function)
    x = torch.randn(3, 2, 4, 4)
    found = _of(calls, node, ball(x), calibrate=True)
    assert not bool(found.radius.any())
    torch.testing.assert_close(found.value, function(x.double()), rtol=0, atol=0)
    passed = _of(calls, node, ball(x, 0.25))
    assert bool((passed.radius <= 0.25 * (1 + 1e-12)).all())
    if function is not _largest:
        assert float(passed.radius.max()) == pytest.approx(0.25)


@pytest.mark.parametrize("name", ["mean", "sum", "Tensor.mean", "Tensor.sum"])
@pytest.mark.parametrize("size", [(2, 2), (5, 7), (1, 1)])
def test_a_mean_and_a_sum_are_bounded_in_any_order(name: str, size: tuple[int, int]) -> None:
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": lambda x: torch.mean(x, dim=(2, 3)),
        "sum": lambda x: torch.sum(x, dim=(2, 3)),
        "Tensor.mean": lambda x: x.mean(dim=(2, 3)),
        "Tensor.sum": lambda x: x.sum(dim=(2, 3)),
    }
    calls, node = _calls(functions[name], 2)
    x = torch.randn(2, 2, *size) * torch.logspace(-4, 4, size[1])
    found = _of(calls, node, ball(x))
    terms = size[0] * size[1]
    values = x.double().abs().flatten(2)
    scale = 1 / terms if "mean" in name else 1.0
    wanted = U * ((terms - 1) * values.sum(-1) * scale + found.value.abs())
    torch.testing.assert_close(found.radius, wanted, rtol=1e-9, atol=2 * TINY)
    for index in ((sample, channel) for sample in range(2) for channel in range(2)):
        numbers = list(x[index].flatten().numpy())
        for total in (sequential(numbers), sequential(numbers[::-1]), pairwise(numbers), lanes(numbers)):
            result = np.float32(total / np.float32(terms)) if "mean" in name else total
            assert abs(float(result) - float(found.value[index])) <= float(found.radius[index]) * (1 + 1e-5)
    wider = _of(calls, node, ball(x, 1e-3))
    assert bool((wider.radius >= found.radius + 1e-3 * terms * scale * 0.999).all())


def _grouped() -> nn.Module:
    return nn.Conv2d(4, 2, 3, padding=1, groups=2)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(3, 4, 3), (3, 6, 5)),
        (lambda: nn.Conv2d(3, 4, 1, bias=False), (3, 6, 5)),
        (_grouped, (4, 6, 5)),
        (lambda: nn.Conv1d(3, 4, 3), (3, 6)),
        (lambda: nn.Linear(6, 4), (6,)),
    ],
)
@torch.no_grad()
def test_a_convolution_alone_is_bounded_by_its_number_of_terms(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    module = make()
    calls, node = _calls(copy.deepcopy(module))
    x = torch.randn(5, *shape) * torch.logspace(-3, 3, shape[-1])
    found, absolute = _of(calls, node, ball(x)), copy.deepcopy(module).double()
    for parameter in absolute.parameters():
        parameter.abs_()
    size = absolute(x.double().abs())
    assert isinstance(module.weight, Tensor)
    terms = module.weight[0].numel()
    assert bool((found.radius <= 1.001 * U * (terms + 3) * (size + found.value.abs()) + terms * TINY).all())
    assert bool(((module(x).double() - found.value).abs() <= found.radius).all())
    # What it is given is passed on with |W|, which is exact for signs that all add up.
    wider = _of(calls, node, ball(x, 0.5))
    carried = absolute(torch.full_like(x, 0.5).double()) - absolute(torch.zeros_like(x).double())
    assert bool((wider.radius >= carried).all())
    assert bool((wider.radius <= carried * 1.001 + found.radius).all())


@torch.no_grad()
def test_a_convolution_whose_products_are_subnormal_stays_within_its_radius() -> None:
    module = nn.Conv2d(1, 3, 1, bias=False)
    module.weight.copy_(torch.tensor([0.0123, -0.3, 1e-5]).reshape(3, 1, 1, 1))
    x = torch.tensor([1.0, 1.37, 1.9, 0.0]).reshape(4, 1, 1, 1) * TINY
    for calibrate in (False, True):
        calls, node = _calls(copy.deepcopy(module))
        found = _of(calls, node, ball(x), calibrate=calibrate)
        off = (module(x).double() - found.value).abs()
        assert bool((off <= found.radius).all()), off / found.radius
        assert bool((found.value.abs() <= found.radius).all())  # flushed
        assert not bool(found.radius[3].any())


@torch.no_grad()
def test_the_mean_of_what_is_nearly_subnormal_may_be_flushed() -> None:
    calls, node = _calls(lambda x: torch.mean(x, dim=(2, 3)), 1)
    found = _of(calls, node, ball(torch.tensor([1.1, 0.0]).reshape(1, 1, 1, 2) * TINY))
    assert float(found.radius) >= float(found.value)


def _backbone() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 4, 3)).eval()


@torch.no_grad()
def test_the_error_of_a_backbone_is_measured(image_model: BackboneHead) -> None:
    """The features' float32 error is inside their radius and D, and not a thousand times smaller than it."""
    x = torch.rand(8, 1, 12, 12)
    exact, single = copy.deepcopy(image_model).double().backbone(x.double()), image_model.backbone(x).double()
    graph = fold(trace_model(copy.deepcopy(image_model).double()))
    node = next(node for node in graph.graph.nodes if node.target == "backbone")
    found = _of(OpaqueCalls(graph), node, ball(x), calibrate=True)
    assert 1e-3 < float(((single - exact).abs() / (ROUNDOFF * found.error)).max()) <= 1.0
    assert 1e-2 < float(((single - exact).abs() / found.radius).max()) <= 1.0 / SAFETY * 1.001


@torch.no_grad()
def test_a_factor_is_never_below_one_and_grows_with_what_is_seen() -> None:
    calls, node = _calls(_backbone())
    x = ball(torch.randn(4, 2, 6, 6))
    before = _of(calls, node, x).radius
    after = _of(calls, node, x, calibrate=True).radius
    assert bool((after >= before * (1 - 1e-12)).all())
    again = _of(calls, node, x, calibrate=True).radius
    torch.testing.assert_close(again, after, rtol=0, atol=0)


@torch.no_grad()
def test_tf32_widens_what_is_measured_and_what_is_bounded() -> None:
    calls, node = _calls(_backbone())
    x = ball(torch.randn(4, 2, 6, 6))
    narrow, wide = _of(calls, node, x).radius, _of(calls, node, x, TF32).radius
    torch.testing.assert_close(wide, narrow * (TF32_FACTOR / ROUNDOFF), rtol=1e-9, atol=0)
    calls, node = _calls(nn.Conv2d(2, 4, 3))
    narrow, wide = _of(calls, node, x).radius, _of(calls, node, x, TF32).radius
    assert bool((wide > 30 * narrow).all())
    mean = _calls(lambda x: torch.mean(x, dim=(2, 3)), 2)
    torch.testing.assert_close(_of(*mean, x, TF32).radius, _of(*mean, x).radius, rtol=0, atol=0)


@torch.no_grad()
def test_a_call_on_the_same_input_is_run_once_for_all_profiles() -> None:
    counted: list[int] = []

    class Counting(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:  # noqa: A002
            counted.append(len(input))
            return super().forward(input)

    model = nn.Sequential(Counting(1, 2, 3), nn.Flatten(), NAC(2, 1))
    analysis = ErrorAnalysis(fold(trace_model(copy.deepcopy(model).double())))
    live = ErrorAnalysis(trace_model(copy.deepcopy(model).double()), analysis.opaque)
    counted.clear()
    x = torch.randn(5, 1, 3, 3).double()
    first = analysis(x, Profile())
    measured = len(counted)
    assert measured >= 1 + JITTERS
    values = [analysis(x, Profile("float64")).value, live(x, Profile(own_weights=True)).value]
    size_alone = len(counted) - measured
    for value in values:
        torch.testing.assert_close(value, first.value)
    assert size_alone <= 2 * (measured - 1 - JITTERS)
    analysis(x.clone(), Profile())
    assert len(counted) == 2 * measured + size_alone


SPELLINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "function": lambda x: F.log_softmax(x, dim=1),
    "torch": lambda x: torch.log_softmax(x, 1),
    "method": lambda x: x.log_softmax(-1),
    "module": nn.LogSoftmax(1),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@torch.no_grad()
def test_a_softmax_passes_the_error_of_the_head_on(spelling: str) -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(3, 4)
            self.last = SPELLINGS[spelling]

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.head(x))

    model = Classifier()
    graph = fold(trace_model(copy.deepcopy(model).double()))
    calls = OpaqueCalls(graph)
    node = next(reversed(graph.graph.nodes)).all_input_nodes[0]
    x = torch.randn(20, 4) * 3
    own = _of(calls, node, ball(x), calibrate=True)
    assert bool(((F.log_softmax(x, 1).double() - own.value).abs() <= own.radius).all())
    for radius in (1e-5, 1e-2):
        found = _of(calls, node, ball(x, radius))
        worst = torch.zeros_like(own.value)
        for signs in itertools.product((1.0, -1.0), repeat=4):
            moved = x.double() + radius * torch.tensor(signs, dtype=torch.float64)
            worst = torch.maximum(worst, (F.log_softmax(moved, 1) - own.value).abs())
        assert bool((worst <= found.radius).all())
        assert bool((found.radius <= 2.01 * radius + 1.01 * own.radius.max()).all())


def test_what_is_not_a_tensor_passes_as_it_is() -> None:
    class Reshaped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = NAC(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.layer(x.reshape(x.size(0), 4))
            return found

    model, x = Reshaped().double(), torch.randn(3, 2, 2).double()
    with torch.no_grad():
        found = ErrorAnalysis(fold(trace_model(copy.deepcopy(model))))(x, Profile())
        torch.testing.assert_close(found.value, model(x))
