"""nalu_export.parity.causes: why outputs are left out of a comparison."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU
from nalu_export.nn import ArithmeticLayer
from nalu_export.parity.batch import Batch
from nalu_export.parity.causes import UNKNOWN, causes
from nalu_export.parity.reference import Reference
from nalu_export.primitives.precision import Profile
from tests.captured import graph_of


class _Layer(ArithmeticLayer):
    """Any formula of two exact inputs."""

    def __init__(self, formula: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.formula = formula
        self.w = nn.Parameter(torch.eye(2))

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(x, self.w)
        return self.formula(x, y)


def _first(model: nn.Module, x: list[list[float]], profile: Profile | None = None) -> list[str]:
    return causes(Reference(graph_of(model)), Batch.of(np.array(x, np.float32)), profile or Profile())


@pytest.mark.parametrize(
    ("formula", "x", "cause"),
    [
        (lambda x, y: torch.log(y - 0.1), [0.1, 3.0], "the argument may be 0 within its error bound"),
        (lambda x, y: x / (y - 0.1), [0.1, 3.0], "the divisor may be 0 within its error bound"),
        (lambda x, y: torch.log(y), [-1.0, 3.0], "is NaN in the reference"),
        (lambda x, y: y + x, [3e38, 3.0], "may leave the range of float32"),
        (lambda x, y: torch.exp(y), [88.8, 1.0], "may leave the range of float32"),
        (lambda x, y: y * x, [1.0, 2.0], UNKNOWN),
    ],
)
def test_the_first_value_without_a_bound_is_named(
    formula: Callable[[Tensor, Tensor], Tensor], x: list[float], cause: str
) -> None:
    found, harmless = _first(_Layer(formula), [x, [2.0, 3.0]])
    assert found.endswith(cause)
    assert harmless == UNKNOWN


def test_a_runtime_whose_exp_ends_early_is_named() -> None:
    found = _first(_Layer(lambda x, y: torch.exp(y)), [[88.5, 1.0]], Profile(exp_limit=88.376))
    assert found[0].endswith("the exp of this runtime is infinite past 88.376")
    assert _first(_Layer(lambda x, y: torch.exp(y)), [[88.5, 1.0]]) == [UNKNOWN]


def test_float64_has_a_range_of_its_own() -> None:
    torch.manual_seed(0)
    cell = NALU(3, 2, 1)
    x = [[3e38, 3e38, 3e38]]
    assert "may leave the range of float32" in _first(cell, x)[0]
    assert _first(cell, x, Profile("float64"))[0] in (UNKNOWN, "")


def test_an_opaque_call_has_its_own_name() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = NALU(2, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.cell(torch.acos(x))
            return found

    found = _first(Model(), [[2.0, 0.1], [0.5, 0.1]])
    assert "acos" in found[0] or found[0].startswith("cell.x")
    assert found[0].endswith(" is NaN in the reference")
    assert found[1] == UNKNOWN
