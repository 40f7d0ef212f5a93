import math

import pytest
import torch

from nalu_export import NALUCell
from nalu_export.doctor import diagnose
from nalu_export.doctor.findings.gates import judge
from nalu_export.graph.reading import read
from nalu_export.nn import ClampedNALUCell, SinhNALUCell
from tests.captured import graph_of
from tests.doctor.cases import codes, has, nac, nalu, only
from tests.handwritten import gates
from tests.handwritten.cells import CELLS

ONE = [[1.0, 1.0]]
CODES = ("gate-undecided", "gate-flips", "gate-closed", "gate-dead", "gate-chosen")


def found(model: torch.nn.Module) -> list[str]:
    return [code for _, code, _ in codes(diagnose(model)) if code.startswith("gate")]


def test_gates_that_have_chosen() -> None:
    model = nalu([[1.0, 1.0]] * 3, [[30.0, 30.0], [-30.0, -30.0], [30.0, 30.0]])
    finding = only(model, "gate-chosen")
    assert (finding.level, finding.where) == ("info", "(model)")
    assert finding.what == "On inputs of 0.1..1 and of 100..1000, 2 gates choose the sum and 1 the product."
    assert finding.effect == "A trained gate looks like this."
    assert finding.remedy == "Nothing to do if this is the operation that the task needs."
    assert found(model) == ["gate-chosen"]


def test_a_gate_that_will_stay() -> None:
    finding = only(nalu(ONE, [[300.0, 300.0]]), "gate-chosen")
    assert finding.what == (
        "On inputs of 0.1..1 and of 100..1000, the gate chooses the sum. The gate has a slope below 2⁻²⁴ on all inputs."
    )
    assert finding.effect == "A trained gate looks like this; further training will not change it."


def test_a_gate_that_has_not_chosen() -> None:
    """Where z is ±1 at the most σ is 0.27 to 0.73; a thousand times as large it is 0 or 1."""
    model = nalu([[1.0, 1.0]] * 4, [[0.5, 0.5], [-0.5, -0.5], [0.5, -0.5], [30.0, 30.0]])
    finding = only(model, "gate-undecided")
    assert (finding.level, finding.where) == ("warning", "(model)")
    assert finding.what == (
        "3 of 4 gates (0, 1, 2) have not chosen the sum or the product on inputs of 0.1..1 (σ is 0.27 to 0.73). "
        "On 100..1000, 1 gate chooses the sum, 1 the product and 1 sum or product by input."
    )
    assert (
        finding.effect == "The output is a mixture of sum and product. The shares are different outside the training "
        "range."
    )
    assert finding.remedy == "Train longer, from another seed, or with a penalty on σ(1 − σ)."
    assert found(model) == ["gate-undecided"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "The gate has not chosen"),
        (2, "Neither gate has chosen"),
        (12, "None of the 12 gates has chosen"),
    ],
)
def test_how_many_gates(count: int, text: str) -> None:
    assert only(nalu(ONE * count, [[0.0, 0.0]] * count), "gate-undecided").what.startswith(text)


def test_many_gates_are_not_all_numbered() -> None:
    model = nalu(ONE * 12, [[0.0, 0.0]] * 11 + [[50.0, 50.0]])
    start = "11 of 12 gates (0, 1, 2, 3, 4, 5, 6, 7, …) have not chosen"
    assert only(model, "gate-undecided").what.startswith(start)


def biased(G: list[list[float]], bias: list[float]) -> NALUCell:
    cell = nalu([[1.0, 1.0]] * len(G), G, gate_bias=True)
    with torch.no_grad():
        cell.G_bias.copy_(torch.tensor(bias))
    return cell


def test_a_gate_that_changes_sides() -> None:
    """Its bias decides where inputs are small, and its weights where they are large."""
    model = biased([[-1.0, -1.0], [30.0, 30.0]], [20.0, 0.0])
    finding = only(model, "gate-flips")
    assert (finding.level, finding.where) == ("warning", "(model)")
    assert finding.what == "1 of 2 gates (0) chooses the sum on 0.1..1 and the product on 100..1000."
    assert finding.effect == "Outside the training range the layer computes another operation."
    assert (
        finding.remedy == "Train with inputs of both ranges, or with a gate that does not depend on the size of its "
        "input."
    )
    assert "gate-chosen" not in found(model)


def test_gates_that_change_sides_in_several_ways() -> None:
    model = biased([[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]], [20.0, -20.0, 20.0])
    assert only(model, "gate-flips").what == (
        "All 3 gates choose the sum on 0.1..1 and the product on 100..1000 or the product on 0.1..1 and the sum on "
        "100..1000 or the sum on 0.1..1 and sum or product by input on 100..1000."
    )


def test_a_gate_that_chooses_by_input() -> None:
    """The larger of two inputs decides, but for those that are nearly equal."""
    model = nalu(ONE, [[1000.0, -1000.0]])
    text = "On inputs of 0.1..1 and of 100..1000, the gate chooses sum or product by input."
    assert only(model, "gate-chosen").what == text
    assert only(nalu(ONE, [[50.0, -50.0]]), "gate-undecided").what.endswith("the gate chooses sum or product by input.")


def test_a_gate_closed_to_both() -> None:
    cell = nalu(ONE, [[-50.0, -50.0]], two_gates=True)
    with torch.no_grad():
        cell.G_mul.fill_(-50.0)
    finding = only(cell, "gate-closed")
    assert (finding.level, finding.where) == ("warning", "(model)")
    assert finding.what == "The gate closes both the sum and the product on inputs of 0.1..1."
    assert finding.effect == "The output is near 0 for every input."
    assert finding.remedy == "Train from another seed, or with one gate instead of two."


def test_a_second_gate_open_with_the_first_mixes() -> None:
    cell = nalu(ONE, [[50.0, 50.0]], two_gates=True)
    with torch.no_grad():
        cell.G_mul.fill_(50.0)
    assert found(cell)[0] == "gate-undecided"
    with torch.no_grad():
        cell.G_mul.fill_(-50.0)
    assert found(cell) == ["gate-chosen"]


def test_a_gate_that_died_before_the_weights_got_anywhere() -> None:
    model = nalu([[0.5, 0.5]], [[100.0, 100.0]])
    finding = only(model, "gate-dead")
    assert (finding.level, finding.where) == ("warning", "(model)")
    assert finding.what == (
        "The gate is saturated on all inputs of 0.1..1, with a slope below 2⁻²⁴, while weights of the layer are still "
        "far from −1, 0 and 1."
    )
    assert finding.effect == (
        "Further training cannot change the choice of the gate, even if it is wrong. Only the weights still change."
    )
    assert finding.remedy == "If the loss does not fall, reset the gate's parameters to small values and train again."
    assert found(model) == ["gate-dead"]


@pytest.mark.parametrize(("z", "dead"), [(16.5, False), (16.7, True), (-16.5, False), (-16.7, True)])
def test_where_a_gate_is_dead(z: float, dead: bool) -> None:
    """σ′ is 2⁻²⁴ at 24 log 2 = 16.64."""
    cell = NALUCell(2, 1, gate="constant")
    with torch.no_grad():
        cell.G.fill_(z)
    assert has(cell, "gate-dead") == dead


def test_what_dead_means() -> None:
    """A step along the gradient, at the rate 1, is lost in rounding."""
    z = torch.tensor([17.0, -17.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.sigmoid(z).sum(), z)
    assert torch.equal(z.detach() + gradient, z.detach())


def test_a_gate_shared_by_all_outputs() -> None:
    model = nalu([[1.0, 1.0]] * 3, [[-50.0, -50.0]], gate="row")
    assert only(model, "gate-chosen").what.startswith("On inputs of 0.1..1 and of 100..1000, the gate chooses the pro")


@pytest.mark.parametrize("cell", [ClampedNALUCell(2, 1), SinhNALUCell(2, 1)])
def test_every_gated_cell(cell: torch.nn.Module) -> None:
    assert found(cell)


def test_a_layer_without_a_gate() -> None:
    assert found(nac(ONE)) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gate_that_is_no_number(value: float) -> None:
    """Infinite times a positive input is infinite: chosen. NaN is said to be no number, and nothing else."""
    model = nalu(ONE, [[value, 1.0]])
    assert [finding.code for finding in diagnose(model).findings] == (
        ["non-finite"] if math.isnan(value) else ["non-finite", "gate-chosen"]
    )


def test_inputs_that_overflow_far_out_tell_nothing() -> None:
    """The thousandfold of them is no number: what is known is what was chosen near."""
    (reading,) = read(graph_of(nalu(ONE, [[1e30, 1e30]])))
    gate = next(gate for layer in reading.layers for gate in layer.gates)
    near = reading.form.run(torch.rand(10, 2, dtype=torch.float64) + 0.1)
    judged = judge(gate, near, {node: torch.full((10, 1), math.nan) for node in near})
    assert judged is not None
    assert judged.near == judged.far == [0]


def test_the_gates_of_a_deeper_layer_see_what_reaches_it() -> None:
    """Its inputs are 0 where those of the head are 0.1..1: it has chosen nothing there."""
    stack = torch.nn.Sequential(nac([[0.0, 0.0]]), nalu([[1.0]], [[1000.0]]))
    assert only(stack, "gate-undecided").where == "1"


def test_a_deeper_gate_that_chooses_by_input_near_only() -> None:
    """z is x1·(0.5 − x2) but for a factor: of either sign at 0.1..1, negative at 100..1000."""
    first = nalu([[1.0, 1.0], [1.0, 0.0]], [[-50.0, -50.0], [50.0, 50.0]])
    stack = torch.nn.Sequential(first, nalu(ONE, [[-6000.0, 3000.0]]))
    text = "The gate chooses sum or product by input on 0.1..1 and the product on 100..1000."
    assert only(stack, "gate-flips").what == text


def test_two_gates_are_dead_when_both_are() -> None:
    cell = nalu([[0.5, 0.5]], [[100.0, 100.0]], two_gates=True)
    with torch.no_grad():
        cell.G_mul.fill_(100.0)
    assert has(cell, "gate-dead")
    with torch.no_grad():
        cell.G_mul.fill_(5.0)
    assert not has(cell, "gate-dead")


def test_a_bias_decides() -> None:
    """With weights of 0 all inputs see the same."""
    text = (
        "On inputs of 0.1..1 and of 100..1000, the gate chooses the sum. The gate has a slope below 2⁻²⁴ on all inputs."
    )
    assert only(biased([[0.0, 0.0]], [20.0]), "gate-chosen").what == text


def by_hand(name: str, weight: float, bias: float = 0.0) -> torch.nn.Module:
    cell = CELLS[name]()
    with torch.no_grad():
        for key, parameter in cell.named_parameters():
            if key.lower().startswith("g"):
                parameter.fill_(bias if key.endswith("bias") else weight)
    return cell


def test_gates_that_were_written_by_hand() -> None:
    """In every spelling, also of one number, of a row, of a condition and of a softmax."""
    spellings = [*gates.CELLS, "Nested", "ChunkOutputs", "ColumnVectors", "A", "Turned", "Bmm"]
    for name in spellings:
        if name in ("SoftplusGate", "SoftmaxGate", "WeightNormGate", "OldWeightNormGate"):
            continue
        finding = only(by_hand(name, 50.0), "gate-chosen", training_range=(0.5, 1.0))
        count = "the gate chooses" if name in ("NumberGate", "RowGate") else "2 gates choose"
        assert finding.what.startswith(f"On inputs of 0.5..1 and of 500..1000, {count} the sum."), name
        assert finding.where == "(model)", name
    assert found(by_hand("LinearGate", -1.0, 20.0)) == ["gate-flips"]
    assert found(CELLS["SoftplusGate"]()) == []


def test_a_condition_is_never_dead() -> None:
    cell = by_hand("HardGate", 1000.0)
    with torch.no_grad():
        cell.get_parameter("w_hat").fill_(0.5)
    assert found(cell) == ["gate-chosen"]


def test_the_weights_of_the_layers_inside_keep_a_gate_from_being_dead() -> None:
    cell = by_hand("Nested", 1000.0)
    assert found(cell) == ["gate-chosen"]
    with torch.no_grad():
        cell.get_parameter("nac.W_hat").fill_(0.5)
    assert found(cell) == ["gate-dead"]


def test_several_gates_of_one_forward_are_numbered() -> None:
    cell = by_hand("Lists", 50.0)
    places = [finding.where for finding in diagnose(cell).findings if finding.code.startswith("gate")]
    assert places == ["(model), gate 1", "(model), gate 2"]
