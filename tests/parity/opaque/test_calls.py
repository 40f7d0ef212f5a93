"""nalu_export.parity.opaque.calls: which rule a call has, what is measured, and what is remembered."""

import copy

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nalu_export import NAC, BackboneHead
from nalu_export.graph.folding import fold
from nalu_export.modules.copying import copied, in_double
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.opaque import OpaqueCalls
from nalu_export.parity.opaque.calls import RULES
from nalu_export.parity.opaque.naming import _MODULES
from nalu_export.parity.opaque.selections import MOVES
from nalu_export.primitives.precision import Profile
from tests.alone import analysed
from tests.captured import graph_of


def _double(model: nn.Module, shape: tuple[int, ...] | None = None) -> fx.GraphModule:
    return copied(graph_of(model, shape).flat).double()


def test_every_module_that_is_known_has_a_rule() -> None:
    exempt = {"dropout", "upsample"}  # they move numbers, or not, as they are set
    assert set(_MODULES.values()) <= {*RULES, *MOVES, *exempt}


@torch.no_grad()
def test_the_same_input_is_run_once_for_all_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    forward = nn.RNNCell.forward

    def counting(self: nn.RNNCell, input: Tensor, hx: Tensor | None = None) -> Tensor:  # noqa: A002
        counted.append(len(input))
        return forward(self, input, hx)

    model = nn.Sequential(nn.RNNCell(2, 6), NAC(6, 1))
    analysis = ErrorAnalysis(fold(_double(model)))
    live = ErrorAnalysis(_double(model), analysis.opaque)
    monkeypatch.setattr(nn.RNNCell, "forward", counting)
    x = torch.randn(5, 2).double()
    first = analysed(analysis, x, Profile())
    measured = len(counted)
    assert measured >= 1
    for value in (analysed(analysis, x, Profile("float64")).value, analysed(live, x, Profile(own_weights=True)).value):
        torch.testing.assert_close(value, first.value)
    assert len(counted) == measured
    analysed(analysis, x.clone(), Profile())
    assert len(counted) == 2 * measured


@torch.no_grad()
def test_what_was_measured_before_a_calibration_is_measured_again() -> None:
    model = nn.Sequential(nn.Softmin(1), nn.Flatten(), NAC(4, 1))
    analysis, x = ErrorAnalysis(fold(_double(model, (4,)))), torch.randn(5, 4).double()
    before = analysed(analysis, x, Profile()).radius
    with analysis.opaque.calibrating():
        analysed(analysis, x, Profile())
    assert bool((analysed(analysis, x, Profile()).radius >= before).all())


@torch.no_grad()
def test_one_of_several_results_keeps_what_is_known_of_it() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv1d(2, 4, 3), nn.Conv1d(2, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            left, right = torch.chunk(self.first(x), 2, 1)
            values, _ = torch.max(right, dim=2, keepdim=True)
            found: Tensor = self.second(left + values)
            return found

    module, x = Split(), torch.randn(3, 2, 9)
    analysis = ErrorAnalysis(fx.symbolic_trace(copy.deepcopy(module).double()))
    with analysis.opaque.calibrating():
        analysed(analysis, x.double(), Profile())
    found = analysed(analysis, x.double(), Profile())
    off = (module(x).double() - found.value).abs()
    assert bool((off <= found.radius).all())
    assert float((off / found.radius).max()) > 1e-2


def test_what_is_not_a_tensor_passes_as_it_is() -> None:
    class Reshaped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = NAC(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.layer(x.reshape(x.size(0), 4))
            return found

    model, x = Reshaped(), torch.randn(3, 2, 2).double()
    with torch.no_grad():
        found = analysed(ErrorAnalysis(fold(_double(model, (2, 2)))), x, Profile())
        torch.testing.assert_close(found.value, model.double()(x))


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3), nn.LayerNorm(3), nn.LogSoftmax(1), nn.Softmin(1)])
@torch.no_grad()
def test_errors_of_an_arithmetic_part_pass_through_what_follows_it(norm: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(NAC(4, 3), norm).eval()
    analysis = ErrorAnalysis(fold(_double(model)))
    x = torch.randn(20, 4) * 100
    with analysis.opaque.calibrating():
        analysed(analysis, x.double(), Profile())
    found = analysed(analysis, x.double(), Profile())
    assert bool(((model(x).double() - found.value).abs() <= found.radius).all())


@torch.no_grad()
def test_a_whole_image_model_is_bounded(image_model: BackboneHead) -> None:
    graph_module = fold(_double(image_model))
    assert OpaqueCalls(graph_module).present
    analysis, x = ErrorAnalysis(graph_module), torch.rand(8, 1, 12, 12)
    with analysis.opaque.calibrating():
        analysed(analysis, x.double(), Profile())
    found = analysed(analysis, x.double(), Profile())
    share = (image_model(x).double() - found.value).abs() / found.radius
    assert 1e-3 < float(share.max()) <= 1.0


class _Any(nn.Module):
    """A mask that is made of another one by a call that is no primitive, and what it chooses."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("w", torch.tensor([[1.1, -1.1]]))

    def forward(self, x: Tensor) -> Tensor:
        mask = F.linear(x, self.get_buffer("w")) > 0
        return torch.where(mask.any(1, keepdim=True), torch.exp(x * 1e-7), x)


class _Attending(_Any):
    """A call that is no primitive and reads a mask."""

    def forward(self, x: Tensor) -> Tensor:
        mask = (F.linear(x, self.get_buffer("w")) > 0).unsqueeze(1) | torch.eye(2, dtype=torch.bool)
        values = torch.exp(x * 1e-7).unsqueeze(-1)
        return F.scaled_dot_product_attention(values, values, x.unsqueeze(-1), attn_mask=mask).flatten(1)


@torch.no_grad()
def test_a_mask_that_may_be_another_one_leaves_its_sample_unknown() -> None:
    x = torch.tensor([[1e7, 1e7], [2.0, 1.0]])  # 1.1e7 − 1.1e7 is 0, and off by 1
    chosen = analysed(ErrorAnalysis(in_double(graph_of(_Any().eval(), (2,)).flat)), x.double(), Profile())
    assert bool((chosen.radius[0] >= (x[0] - torch.exp(x[0] * 1e-7)).abs()).all())
    assert float(chosen.radius[1].max()) < 1e-5
    attended = analysed(ErrorAnalysis(in_double(graph_of(_Attending().eval(), (2,)).flat)), x.double(), Profile())
    assert attended.radius.isinf().tolist() == [[True, True], [False, False]]
