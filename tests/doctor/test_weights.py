import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nalu_export import ArithmeticLayer, NACCell, NALUCell
from nalu_export.doctor import diagnose
from nalu_export.doctor.snapping import difference, snap
from nalu_export.nn import ClampedNALUCell, NACExactCell, SinhNALUCell
from tests.doctor.cases import HEALTHY, has, nac, nalu, only

DO = (
    "Train longer, or with a penalty that pulls weights to −1, 0 and 1; until then do not rely on it outside its "
    "training range."
)


def test_a_weight_between() -> None:
    """0.9 in place of 1: a sum of one input is off by a tenth of itself at any size."""
    finding = only(nac([[0.9], [1.0]]), "far-weights")
    assert (finding.level, finding.where) == ("warning", "layers.0")
    assert finding.what == (
        "Weights farther than 0.01 from −1, 0 and 1: 1 of 2 in W, the farthest 0.9 from input 0 to output 0."
    )
    assert finding.do == DO


def test_the_change_is_that_of_the_output() -> None:
    finding = only(nac([[0.9]]), "far-weights")
    assert finding.follows == (
        "With its weights at the nearest of these, its worst output would change by 10% on inputs of 0.1..1 and by "
        "10% on 100..1000 (medians over the inputs)."
    )


def test_a_product_changes_more_where_inputs_are_large() -> None:
    """x^0.9 in place of x: the median of 1 − x^±0.1 is at the median of x."""
    finding = only(nalu([[0.9]], [[-100.0]]), "far-weights")
    near, far = 1 - 0.55**0.1, 1 - 550**-0.1
    assert (round(100 * near, 1), round(100 * far)) == (5.8, 47)
    assert (
        "would change by 5.9% on inputs of 0.1..1 and by 47% on 100..1000 (medians over the inputs)." in finding.follows
    )


def test_the_whole_head_is_told_with_its_last_layer() -> None:
    model = nac([[0.9]], [[1.0]], [[0.8]])
    first, second = (finding for finding in diagnose(model).findings if finding.code == "far-weights")
    assert (first.where, second.where) == ("layers.0", "layers.2")
    assert first.follows.endswith("(medians over the inputs).")
    assert second.follows == (
        "With its weights at the nearest of these, its worst output would change by 20% on inputs of 0.1..1 and by "
        "20% on 100..1000 (medians over the inputs); with those of all layers, the worst output of the head by 28% "
        "and 28%."
    )


def test_a_range_of_ones_own() -> None:
    assert "on inputs of -2..3 and by 10% on -2000..3000" in only(nac([[0.9]]), "far-weights", inputs=(-2, 3)).follows


def test_weights_that_the_output_hardly_depends_on() -> None:
    """The gate is shut for the product, whose weights were never pulled anywhere."""
    cell = nalu([[1.0, 1.0]], [[100.0, 100.0]], tied=False)
    finding = only(cell, "far-weights")
    assert finding.level == "info"
    assert finding.what.startswith("Weights farther than 0.01 from −1, 0 and 1: 2 of 2 in W_mul, the farthest ")
    assert "change by less than 0.01% on inputs of 0.1..1 and by less than 0.01% on 100..1000" in finding.follows
    assert finding.do == "Nothing to do: it hardly depends on them."


@pytest.mark.parametrize("weight", [0.0, 1.0, -1.0, 0.009, 0.991, -0.991])
def test_weights_that_are_near(weight: float) -> None:
    assert not has(nac([[weight, 1.0]]), "far-weights")


def test_a_weight_that_is_no_number_is_not_far() -> None:
    model = nac([[0.9, 0.9]])
    with torch.no_grad():
        model.get_parameter("layers.0.W_hat")[0, 0] = float("nan")
    assert not has(model, "far-weights")


class Scale(ArithmeticLayer):
    """A layer of the user's own, whose weights are computed from parameters of other names."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.s = nn.Parameter(torch.full((in_features,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.tanh(self.s)

    def effective_weights(self) -> dict[str, Tensor]:
        return {"s′": torch.tanh(self.s)}


class Fussy(Scale):
    def forward(self, x: Tensor) -> Tensor:
        raise OSError("not today")


@pytest.mark.parametrize("layer", [Scale(3), Fussy(3), nn.Sequential(nn.ReLU(), Scale(3))])
def test_a_layer_whose_weights_cannot_be_put_elsewhere(layer: nn.Module) -> None:
    finding = only(layer, "far-weights")
    assert finding.level == "warning"
    assert finding.what == "Weights farther than 0.01 from −1, 0 and 1: 3 of 3 in s′, the farthest 0.245 at [0]."
    assert finding.follows == "What it computes outside its training range is no sum or product of its inputs."


def test_a_layer_that_is_not_called() -> None:
    class Half(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = NACCell(2, 2), NACCell(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.used(x)
            return y

    found = {finding.where: finding.follows for finding in diagnose(Half()).findings if finding.code == "far-weights"}
    assert found["used"].startswith("With its weights at the nearest of these, ")
    assert found["spare"].startswith("What it computes outside its training range")


CELLS = [
    lambda: NACCell(3, 2),
    lambda: NACCell(3, 2, stored=True),
    lambda: NALUCell(3, 2),
    lambda: NALUCell(3, 2, tied=False),
    lambda: NALUCell(3, 2, tied=False, stored=True),
    lambda: NALUCell(3, 2, gate="constant"),
    lambda: NALUCell(3, 2, two_gates=True, gate_bias=True),
    lambda: ClampedNALUCell(3, 2),
    lambda: SinhNALUCell(3, 2),
    lambda: SinhNALUCell(3, 2, stored=True),
    lambda: NACExactCell(3, 2),
]


@pytest.mark.parametrize("make", CELLS)
def test_weights_are_put_to_the_nearest_and_nothing_else_is(make: Any) -> None:
    layer = make().double()
    before = copy.deepcopy(layer)
    assert snap(layer)
    for name, weight in layer.effective_weights().items():
        old = before.effective_weights()[name]
        nearest = min((-1.0, 0.0, 1.0), key=lambda target: abs(target - float(old[0, 0].detach())))
        assert float(weight[0, 0].detach()) == nearest
        assert set(weight.detach().flatten().tolist()) <= {-1.0, 0.0, 1.0}
    for name, parameter in layer.named_parameters():
        if not name.startswith(("W", "M_hat")) or isinstance(layer, NACExactCell):
            assert torch.equal(parameter, before.get_parameter(name))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1.0, 1.0, 0.0), (0.0, 0.0, 0.0), (2.0, 1.0, 0.5), (1.0, 2.0, 0.5), (0.0, 3.0, 1.0), (-1.0, 1.0, 2.0),
        (math.inf, math.inf, 0.0), (math.inf, 1.0, 1.0), (1.0, math.nan, 1.0), (math.nan, math.nan, 0.0),
        (math.inf, -math.inf, 1.0),
    ],
)  # fmt: skip
def test_the_difference_of_two_numbers(one: float, other: float, expected: float) -> None:
    assert difference(torch.tensor([[one]]), torch.tensor([[other]])) == expected


def test_it_is_the_median_over_samples_of_the_worst_output() -> None:
    other = torch.tensor([[1.0, 1.0, 2.0, 4.0, 1e9], [1.0, 1.0, 1.0, 1.25, 1.25]]).T
    assert difference(torch.ones(5, 2), other) == 0.5
    assert difference(torch.ones(5, 2), other[:, [1, 0]]) == 0.5
    assert difference(torch.ones(5, 1), other[:, 1:]) == 0.0


@given(st.lists(st.floats(-1e300, 1e300), min_size=1))
def test_the_difference_of_any_numbers(values: list[float]) -> None:
    one = torch.tensor([values], dtype=torch.float64).T
    found = difference(one, one.flip(0))
    assert 0 <= found <= 2
    assert difference(one.flip(0), one) == found


def test_healthy() -> None:
    assert not has(HEALTHY, "far-weights")
