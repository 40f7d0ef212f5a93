from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC
from nalu_export.doctor import diagnose
from nalu_export.nn.functional import effective_weight
from tests.doctor.cases import HEALTHY, LINEAR, codes, faux, has, only, written
from tests.handwritten.cells import CELLS
from tests.handwritten.public import PUBLIC

W_HAT = torch.tensor([[0.5, -0.25], [2.0, 0.0]])
M_HAT = torch.tensor([[0.0, 1.0], [-3.0, 0.5]])
SUM = torch.tensor([[1.0, 1.0], [0.0, -1.0]])
# Square files do not tell which way round they are stored.
FAUX = "kevinzakka:fauxNAC"


def test_raw_parameters_beside_another_weight(tmp_path: Path) -> None:
    found = diagnose(written(faux(SUM, W_HAT, M_HAT), tmp_path), layout=FAUX)
    assert codes(found) == [("error", "faux-weights", "model.0.W")]
    (finding,) = found.findings
    assert finding.what == (
        "W is stored, and the model computes with it. tanh(W_hat)·σ(M_hat) is a different matrix: it "
        "differs by up to 1.2 "
        "(at [0, 1], 1 is stored and the raw parameters give -0.179)."
    )
    assert finding.effect == (
        "A faux NAC: the model does not read W_hat and M_hat, so they cannot have been trained. "
        "Computing W from them gives different results."
    )
    assert finding.remedy == LINEAR
    assert found.failed


def test_the_largest_difference_is_where_it_is(tmp_path: Path) -> None:
    formula = effective_weight(W_HAT.double(), M_HAT.double())
    distance = (SUM - formula).abs()
    assert distance.argmax() == 1
    assert float(distance.max()) == pytest.approx(1.1791, abs=1e-4)


def test_raw_parameters_that_are_as_initialised_are_said_to_be(tmp_path: Path) -> None:
    state = faux(torch.eye(8), nn.init.xavier_uniform_(torch.empty(8, 8)), nn.init.xavier_uniform_(torch.empty(8, 8)))
    end = " The raw parameters are still distributed as xavier_uniform draws them."
    assert only(written(state, tmp_path), "faux-weights", layout=FAUX).what.endswith(end)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_weight_that_the_raw_parameters_give(dtype: torch.dtype, tmp_path: Path) -> None:
    """However it was rounded; what is little more is a different matrix."""
    raw = (3 * torch.randn(32, 32)).to(dtype), (3 * torch.randn(32, 32)).to(dtype)
    state = faux(effective_weight(*raw), *raw)
    finding = only(written(state, tmp_path), "faux-in-sync", layout=FAUX)
    assert finding.level == "warning"
    assert finding.what == "W is stored, and the model computes with it. It equals tanh(W_hat)·σ(M_hat) up to rounding."
    assert finding.effect == (
        "A faux NAC: it was saved before its first training step, or W was computed again after training. Further "
        "training changes only W."
    )
    assert finding.remedy == LINEAR
    state["model.0.W"] = state["model.0.W"] + 20 * torch.finfo(dtype).eps
    assert only(written(state, tmp_path), "faux-weights", layout=FAUX).level == "error"


def test_strict_makes_every_faux_nac_an_error(tmp_path: Path) -> None:
    path = written(faux(effective_weight(W_HAT, M_HAT), W_HAT, M_HAT), tmp_path)
    assert only(path, "faux-in-sync", strict=True, layout=FAUX).level == "error"
    path = written({"model.0.W": SUM}, tmp_path)
    assert only(path, "stored-weight", strict=True, layout="shivamsaboo17").level == "error"
    assert not diagnose(HEALTHY, strict=True).findings


def test_raw_parameters_that_are_no_numbers(tmp_path: Path) -> None:
    nothing = torch.full((2, 2), float("nan"))
    text = (
        "W is stored, and the model computes with it. tanh(W_hat)·σ(M_hat) is a different matrix: no "
        "value is finite in both."
    )
    assert only(written(faux(SUM, nothing, nothing), tmp_path), "faux-weights", layout=FAUX).what == text
    nothing[0, 0] = 0.0
    text = "it differs by up to 1 (at [0, 0], 1 is stored and the raw parameters give 0)."
    assert only(written(faux(SUM, nothing, nothing), tmp_path), "faux-weights", layout=FAUX).what.endswith(text)


def test_each_weight_has_the_raw_parameters_beside_it(tmp_path: Path) -> None:
    """The weight of the product in kevinzakka's first NALU has none, that of the sum has."""
    state = {"G": torch.eye(2), "W": SUM} | faux(SUM, W_HAT, M_HAT, "nac.")
    found = codes(diagnose(written(state, tmp_path), layout="kevinzakka:fauxNALU-untied"))
    assert ("error", "faux-weights", "nac.W") in found
    assert ("warning", "stored-weight", "(model)") in found
    text = "W is stored, not computed as tanh(W_hat)·σ(M_hat), and there are no raw parameters W_hat and M_hat."
    assert only(tmp_path / "model.pt", "stored-weight", layout="kevinzakka:fauxNALU-untied").what == text


def test_a_weight_without_raw_parameters(tmp_path: Path) -> None:
    state = {"model.0.G": 50 * torch.ones(2, 2), "model.0.W": SUM, "model.0.nac.W": SUM}
    finding = only(written(state, tmp_path), "stored-weight", layout="shivamsaboo17")
    assert (finding.level, finding.where) == ("warning", "model.0")
    assert finding.what == (
        "model.0.nac.W and model.0.W are stored, not computed as tanh(W_hat)·σ(M_hat), and there are no raw "
        "parameters W_hat and M_hat."
    )
    assert finding.effect == ("A faux NAC: a linear weight was trained, and nothing pulled it towards −1, 0 and 1.")
    assert finding.remedy == LINEAR


def test_weights_that_no_nac_has(tmp_path: Path) -> None:
    finding = only(
        written({"model.0.W": torch.tensor([[1.5, -2.25], [1.0, 0.0]])}, tmp_path),
        "weight-outside",
        layout="shivamsaboo17",
    )
    assert (finding.level, finding.where) == ("warning", "model.0.W")
    assert finding.what == "2 of 4 stored weights are outside −1..1; the largest is -2.25 at [0, 1]."
    assert finding.effect == "tanh(W_hat)·σ(M_hat) cannot give such values: nothing kept this weight within −1..1."
    assert finding.remedy == "Train with W computed in forward, which keeps it within −1..1."


def test_weights_a_little_outside(tmp_path: Path) -> None:
    """A linear layer ends on both sides of 1."""
    finding = only(written({"model.0.W": torch.tensor([[1.000001, 0.999999]])}, tmp_path), "weight-outside")
    assert finding.level == "info"
    assert finding.what == "1 of 2 stored weights are outside −1..1; the largest is 1.000001 at [0, 0]."
    assert finding.effect == "None is more than 0.01 outside, so they stand for −1 and 1."
    assert finding.remedy == "Nothing to do."


@pytest.mark.parametrize("value", [1.0, -1.0, 0.5, float("nan"), float("inf")])
def test_weights_that_are_not_outside(value: float, tmp_path: Path) -> None:
    assert not has(written({"model.0.W": torch.tensor([[value, 0.0]])}, tmp_path), "weight-outside")


def test_a_computed_weight_is_none_of_this() -> None:
    assert diagnose(HEALTHY).findings == ()


def test_our_own_stored_weight_is() -> None:
    model = NAC(2, 1, stored=True)
    text = (
        "layers.0.W is stored, not computed as tanh(W_hat)·σ(M_hat), and there are no raw parameters W_hat and M_hat."
    )
    assert only(model, "stored-weight").what == text


class Faux(nn.Module):
    """A faux NAC as somebody writes it: its weight is computed once."""

    def __init__(self) -> None:
        super().__init__()
        self.m_hat, self.w_hat = nn.Parameter(M_HAT.clone()), nn.Parameter(W_HAT.clone())
        self.weights = nn.Parameter(SUM.clone())
        self.gain = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weights)


def test_a_faux_nac_that_was_written_by_hand() -> None:
    """The raw parameters are those beside it of its shape that nothing reads, whichever comes first."""
    finding = only(Faux(), "faux-weights")
    assert (finding.level, finding.where) == ("error", "weights")
    assert finding.what == (
        "weights is stored, and the model computes with it. tanh(w_hat)·σ(m_hat) is a different matrix: it differs "
        "by up to 1.2 (at [0, 1], 1 is stored and the raw parameters give -0.179)."
    )
    assert finding.effect.endswith("cannot have been trained. Computing weights from them gives different results.")
    model = Faux()
    with torch.no_grad():
        model.weights.copy_(effective_weight(W_HAT, M_HAT))
    assert only(model, "faux-in-sync").where == "weights"


def test_stored_weights_of_public_modules_in_memory() -> None:
    """Their raw parameters are not in the state_dict; the first has nothing that an export takes for arithmetic."""
    found = diagnose(PUBLIC["shivamsaboo17 BuildHead, NAC"][0]())
    assert [(finding.level, finding.where) for finding in found.findings if finding.code == "stored-weight"] == [
        ("warning", "head.model.0")
    ]
    assert found.notes == ()
    places = [
        finding.where
        for finding in diagnose(PUBLIC["shivamsaboo17 NALU"][0]()).findings
        if finding.code == "stored-weight"
    ]
    assert places == ["model.0", "model.0.nac", "model.1", "model.1.nac"]


def test_exponents_that_are_stored_by_design() -> None:
    assert not has(CELLS["Npu"](), "stored-weight")


def test_a_network_has_no_stored_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    assert diagnose(model).findings == ()


def test_one_parameter_under_two_names_is_read_under_both() -> None:
    model = Faux()
    model.w_hat = model.weights
    assert not has(model, "faux-weights")
