from collections.abc import Callable

import pytest
import torch

from nalu_export import NALU
from nalu_export.nn import ClampedNALUCell, SinhNALUCell
from tests.doctor.cases import has, nalu, only
from tests.handwritten import epsilons
from tests.handwritten.cells import CELLS

CODES = ("eps-lost", "eps-subnormal", "eps-large")


def cell(eps: float) -> torch.nn.Module:
    return nalu([[1.0, 1.0]], [[50.0, 50.0]], eps=eps)


def test_eps_that_is_zero_in_float16() -> None:
    finding = only(NALU(2, 1), "eps-lost", compute="float16")
    assert (finding.level, finding.where) == ("error", "layers.0")
    assert finding.what == "eps is 1e-10, which is 0 in float16; the smallest positive number of that type is 6e-08."
    assert finding.effect == (
        "An input of 0 gives log(0) = −∞. The product is then 0 if the weight of that input is "
        "positive, ∞ if it is negative, and NaN if it is 0."
    )
    assert finding.remedy == "Compute in float32, or train with a larger eps."


def test_what_follows_is_true() -> None:
    logarithm = torch.log(torch.zeros((), dtype=torch.float16) + torch.tensor(1e-10, dtype=torch.float16))
    found = [float(torch.exp(logarithm * weight)) for weight in (1.0, -1.0, 0.0)]
    assert str(found) == "[0.0, inf, nan]"


def test_eps_with_few_digits_in_float16() -> None:
    finding = only(cell(1e-6), "eps-subnormal", compute="float16")
    assert (finding.level, finding.where) == ("warning", "(model)")
    assert finding.what == (
        "eps is 1e-06, which is 1.01e-06 in float16, below the smallest normal number of that type, 6.1e-05."
    )
    assert finding.effect == (
        "It has few significant digits. Hardware that flushes subnormal numbers to 0 gives log(0) = −∞ for an input "
        "of 0."
    )
    assert finding.remedy == "Compute in float32, or train with a larger eps."


@pytest.mark.parametrize(
    ("eps", "compute", "code"),
    [
        (1e-10, "float32", None),
        (1e-10, "float64", None),
        (1e-30, "float32", None),
        (2.9e-8, "float16", "eps-lost"),
        (3e-8, "float16", "eps-subnormal"),
        (6.1e-5, "float16", "eps-subnormal"),
        (6.2e-5, "float16", None),
    ],
)
def test_where_eps_is_lost(eps: float, compute: str, code: str | None) -> None:
    assert [name for name in CODES[:2] if has(cell(eps), name, compute=compute)] == ([code] if code else [])


def test_a_floor_keeps_the_logarithm_finite() -> None:
    """a/m/g 3 adds eps to the larger of |x| and its floor."""
    assert not has(ClampedNALUCell(2, 1, eps=1e-10), "eps-lost", compute="float16")
    assert has(ClampedNALUCell(2, 1, eps=1e-10, floor=0.0), "eps-lost", compute="float16")


def test_a_large_eps() -> None:
    finding = only(cell(1e-5), "eps-large")
    assert (finding.level, finding.where) == ("info", "(model)")
    assert (
        finding.what == "eps is 1e-05. In the product, inputs below 0.001 count as more than 1% larger than they are."
    )
    assert finding.effect == (
        "Products of such inputs are off accordingly. eps is part of the trained function and is exported unchanged."
    )
    assert finding.remedy == "Scale the inputs so that they are larger, or train with a smaller eps."


def test_a_large_eps_for_these_inputs() -> None:
    finding = only(cell(1e-6), "eps-large", training_range=(5e-5, 1.0))
    assert finding.what == (
        "eps is 1e-06. In the product, inputs below 0.0001 count as more than 1% larger than they are. The training "
        "range contains such inputs."
    )


@pytest.mark.parametrize(
    ("eps", "inputs"),
    [(9e-6, (0.1, 1.0)), (1e-6, (1e-3, 1.0)), (1e-6, (-1.0, -1e-3)), (1e-6, (-1.0, 1.0)), (1e-6, (-1e-5, 1.0))],
)
def test_an_eps_that_is_small_enough(eps: float, inputs: tuple[float, float]) -> None:
    assert not has(cell(eps), "eps-large", training_range=inputs)


def test_a_layer_without_eps() -> None:
    assert not any(has(SinhNALUCell(2, 1), code, compute="float16") for code in CODES)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("EpsAdded", "eps is 1e-10, which is 0 in float16"),
        ("EpsBuffer", "eps is 1e-10, which is 0 in float16"),
        ("EpsClamp", "eps is 1e-10 (the lower bound of |x|), which is 0 in float16"),
        ("EpsMaximum", "eps is 1e-10 (the lower bound of |x|), which is 0 in float16"),
        ("EpsInside", "eps is 1e-16 (added to x²), which is 0 in float16"),
        ("PowTwo", "eps is 1e-16 (added to x²), which is 0 in float16"),
    ],
)
def test_eps_of_a_module_that_was_written_by_hand(name: str, start: str) -> None:
    finding = only(CELLS[name](), "eps-lost", compute="float16")
    assert finding.what.startswith(start)
    assert finding.where == "(model)"
    assert not has(CELLS[name](), "eps-lost")


class Learned(epsilons.EpsBuffer):
    """ε is a parameter of another name."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        del self.eps
        self.offset = torch.nn.Parameter(torch.tensor(1e-3))

    def magnitude(self, x: torch.Tensor) -> torch.Tensor:
        return torch.abs(x) + self.offset


@pytest.mark.parametrize(
    ("model", "what"),
    [
        (CELLS["EpsLarge"], "eps is 0.01. In the product, inputs below 1 count as more than 1% larger than they are."),
        (Learned, "offset is 0.001. In the product, inputs below 0.1 count as more than 1% larger than they are."),
        (lambda: Rooted(2e-6), "eps is 2e-06 (added to x²). In the product, inputs below 0.01 count as more than 1%"),
        (lambda: Bounded(0.5), "eps is 0.5 (the lower bound of |x|). In the product, inputs below 0.5 count as 0.5."),
    ],
)
def test_a_large_eps_in_other_spellings(model: Callable[[], torch.nn.Module], what: str) -> None:
    assert only(model().eval(), "eps-large").what.startswith(what)


class Rooted(epsilons.EpsInside):
    """``√(x² + ε)`` of a given ε."""

    def __init__(self, eps: float) -> None:
        super().__init__(3, 2)
        self.eps = eps

    def magnitude(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(x**2 + self.eps)


class Bounded(Rooted):
    """``max(|x|, ε)``."""

    def magnitude(self, x: torch.Tensor) -> torch.Tensor:
        return torch.clamp(torch.abs(x), min=self.eps)


def test_what_a_square_is_changed_by() -> None:
    x, eps = torch.tensor(0.01, dtype=torch.float64), 2e-6
    assert float(torch.sqrt(x**2 + eps) / x) == pytest.approx(1.01, abs=1e-4)
