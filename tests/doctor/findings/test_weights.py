import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nalu_export import ArithmeticLayer, NACCell, NALUCell
from nalu_export.doctor import diagnose
from nalu_export.doctor.snapping import difference, snapped
from nalu_export.doctor.statistics import nearest
from nalu_export.doctor.subject import Head, from_module
from nalu_export.nn import ClampedNALUCell, NACExactCell, SinhNALUCell
from nalu_export.source.preparing import SourceOptions
from tests.doctor.cases import HEALTHY, has, nac, nalu, only
from tests.handwritten.cells import CELLS
from tests.handwritten.products import Nmu

DO = (
    "Train longer, or with a penalty that pulls weights to −1, 0 and 1. Until then, do not rely on the model "
    "outside its training range."
)


def test_a_weight_between() -> None:
    """0.9 in place of 1: a sum of one input is off by a tenth of itself at any size."""
    finding = only(nac([[0.9], [1.0]]), "far-weights")
    assert (finding.level, finding.where) == ("warning", "layers.0")
    assert finding.what == (
        "Weights farther than 0.01 from −1, 0 and 1: 1 of 2 in W, the farthest is 0.9, from input 0 to output 0."
    )
    assert finding.remedy == DO


def test_the_change_is_that_of_the_output() -> None:
    finding = only(nac([[0.9]]), "far-weights")
    assert finding.effect == (
        "With its weights rounded to −1, 0 and 1, its worst output would change by 10% on inputs of 0.1..1 "
        "and by 10% on 100..1000 (medians over the inputs)."
    )


def test_a_product_changes_more_where_inputs_are_large() -> None:
    """x^0.9 in place of x: the median of 1 − x^±0.1 is at the median of x."""
    finding = only(nalu([[0.9]], [[-100.0]]), "far-weights")
    near, far = 1 - 0.55**0.1, 1 - 550**-0.1
    assert (round(100 * near, 1), round(100 * far)) == (5.8, 47)
    assert (
        "would change by 5.9% on inputs of 0.1..1 and by 47% on 100..1000 (medians over the inputs)." in finding.effect
    )


def test_the_whole_head_is_told_with_its_last_layer() -> None:
    model = nac([[0.9]], [[1.0]], [[0.8]])
    first, second = (finding for finding in diagnose(model).findings if finding.code == "far-weights")
    assert (first.where, second.where) == ("layers.0", "layers.2")
    assert first.effect.endswith("(medians over the inputs).")
    assert second.effect == (
        "With its weights rounded to −1, 0 and 1, its worst output would change by 20% on inputs of 0.1..1 "
        "and by 20% on 100..1000 (medians over the inputs). With the weights of all layers rounded, "
        "the worst output of "
        "the head would change by 28% and 28%."
    )


def test_a_range_of_ones_own() -> None:
    assert (
        "on inputs of -2..3 and by 10% on -2000..3000"
        in only(nac([[0.9]]), "far-weights", training_range=(-2, 3)).effect
    )


def test_weights_that_the_output_hardly_depends_on() -> None:
    """The gate is shut for the product, whose weights were never pulled anywhere."""
    cell = nalu([[1.0, 1.0]], [[100.0, 100.0]], tied=False)
    finding = only(cell, "far-weights")
    assert finding.level == "info"
    assert finding.what.startswith("Weights farther than 0.01 from −1, 0 and 1: 2 of 2 in W_mul, the farthest is ")
    assert "change by less than 0.01% on inputs of 0.1..1 and by less than 0.01% on 100..1000" in finding.effect
    assert finding.remedy == "Nothing to do: the output hardly depends on the difference."


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


class Fussy(Scale):
    def forward(self, x: Tensor) -> Tensor:
        raise OSError("not today")


@pytest.mark.parametrize("layer", [Scale(3), nn.Sequential(nn.ReLU(), Scale(3))])
def test_a_layer_of_ones_own(layer: nn.Module) -> None:
    finding = only(layer, "far-weights")
    assert finding.what == "Weights farther than 0.01 from −1, 0 and 1: 3 of 3 in tanh, the farthest is 0.245, at [0]."
    assert "would change by 100% on inputs of 0.1..1 and by 100% on 100..1000" in finding.effect


def test_a_model_that_does_not_run_is_examined_as_far_as_its_tensors_go() -> None:
    model = Fussy(3)
    with torch.no_grad():
        model.s[1] = math.nan
    found = diagnose(model)
    assert [finding.code for finding in found.findings] == ["non-finite"]
    (note,) = found.notes
    assert note.startswith("only the tensors of the model are examined: Fussy does not run on 3 features (not today);")


def test_the_parts_of_a_model_that_does_not_run_are_examined() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fussy, self.head, self.inner = Fussy(3), nac([[0.9]]), nn.ModuleList([nac([[0.8]])])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(self.inner[0](self.fussy(x)))
            return y

    found = diagnose(Broken())
    assert [(finding.code, finding.where) for finding in found.findings] == [
        ("far-weights", "head.layers.0"),
        ("far-weights", "inner.0.layers.0"),
    ]
    (note,) = found.notes
    assert note.startswith("only head, inner.0 are examined in full: Broken does not run on 3 features (not today);")


def test_a_layer_that_is_not_called_is_none_of_the_model() -> None:
    class Half(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = NACCell(2, 2), NACCell(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.used(x)
            return y

    assert [finding.where for finding in diagnose(Half()).findings] == ["used"]


CELLS_OF_OURS: list[Callable[[], nn.Module]] = [
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


def heads_of(model: nn.Module) -> tuple[Head, ...]:
    return from_module(model, SourceOptions()).heads


@pytest.mark.slow
def test_weights_are_put_to_the_nearest_and_nothing_else_is() -> None:
    """Also those that are computed from a weight: |W|, 1 − W."""
    for model in (*(make() for make in CELLS_OF_OURS), *(build() for build in CELLS.values())):
        for head in heads_of(model):
            instead = snapped(head.cells)
            values = head.form.run(*(torch.rand(spec.shape).double() for spec in head.form.inputs), instead=instead)
            for cell in head.cells:
                for weight in cell.layer.weights:
                    old, new = head.form.value(weight.node), values[weight.node]
                    assert set(new.flatten().tolist()) <= {-1.0, 0.0, 1.0}, weight
                    torch.testing.assert_close(new, nearest(old))
                for gate in cell.layer.gates:
                    for product in () if gate.source is None else gate.source.products:
                        assert torch.equal(values[product.constant], head.form.value(product.constant))


def test_what_is_computed_from_a_weight_follows_it() -> None:
    """``x·W + 1 − W`` of 0.9 and 0.2 is x and 1 when W is 1 and 0."""
    cell = Nmu(2, 1).eval()
    with torch.no_grad():
        cell.w.copy_(torch.tensor([[0.9, 0.2]]))
    (head,) = heads_of(cell)
    x = torch.tensor([[3.0, 7.0]], dtype=torch.float64)
    values = head.form.run(x, instead=snapped(head.cells))
    assert values[head.form.graph.output_node()].tolist() == [[3.0]]


def test_the_change_of_a_layer_inside_another() -> None:
    """Of its own output, not of the model's."""
    cell = CELLS["Nested"]()
    with torch.no_grad():
        cell.get_parameter("nac.W_hat").fill_(20.0)
        cell.get_parameter("nac.M_hat").fill_(math.log(9.0))
    finding = only(cell, "far-weights")
    assert finding.where == "nac"
    assert "change by 10% on inputs of 0.1..1 and by 10% on 100..1000" in finding.effect


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
