from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import InputError, NALUCell
from nalu_export.nn.functional import effective_weight
from nalu_export.nn.nalu import checked_eps
from tests.nn.formulas import nalu_cell, weights_of

EPS = (1e-30, 1e-12, 1e-10, 1e-7, 1e-3, 1.0)


def inputs(features: int) -> torch.Tensor:
    """Both signs, exact zeros, ones, and a sample of zeros only, in float64."""
    x = torch.randn(23, features, dtype=torch.float64) * 3
    x[0], x[1], x[2:6, 0] = 0.0, 1.0, 0.0
    return x


@pytest.mark.parametrize("eps", EPS)
@pytest.mark.parametrize("gate", ["matrix", "row"])
@pytest.mark.parametrize("tied", [True, False])
def test_formula(tied: bool, gate: str, eps: float) -> None:
    cell = NALUCell(4, 3, eps=eps, tied=tied, gate=gate)
    x = inputs(4)
    expected = nalu_cell(x.numpy(), weights_of(cell), eps)
    np.testing.assert_allclose(cell.double()(x).detach().numpy(), expected, rtol=1e-11, atol=1e-13)
    held = np.abs(expected) < 1e30  # ε to a negative power overflows float32
    float32 = cell.float()(x.float()).detach().numpy()
    np.testing.assert_allclose(float32[held], expected[held], rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"gate": "constant"},
        {"gate": "constant", "tied": False},
        {"gate_bias": True},
        {"two_gates": True},
        {"two_gates": True, "gate_bias": True, "tied": False},
        {"stored": True},
        {"stored": True, "tied": False, "gate": "row"},
        {"stored": True, "tied": False, "two_gates": True, "gate_bias": True},
    ],
    ids=str,
)
def test_formula_of_every_variant(options: dict[str, Any]) -> None:
    cell = NALUCell(4, 3, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-1.5, 1.5)
    x = inputs(4)
    expected = nalu_cell(x.numpy(), weights_of(cell), 1e-10)
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("features", "outputs"), [(1, 1), (2, 1), (1, 3)])
@pytest.mark.parametrize("gate", ["matrix", "row"])
def test_formula_at_the_smallest_sizes(features: int, outputs: int, gate: str) -> None:
    cell = NALUCell(features, outputs, gate=gate).double()
    x = inputs(features)
    np.testing.assert_allclose(
        cell(x).detach().numpy(), nalu_cell(x.numpy(), weights_of(cell), 1e-10), rtol=1e-11, atol=1e-13
    )


@pytest.mark.parametrize(
    ("tied", "gate", "shapes"),
    [
        (True, "matrix", {"W_hat": (5, 3), "M_hat": (5, 3), "G": (5, 3)}),
        (True, "row", {"W_hat": (5, 3), "M_hat": (5, 3), "G": (1, 3)}),
        (
            False,
            "matrix",
            {"W_hat": (5, 3), "M_hat": (5, 3), "G": (5, 3), "W_hat_mul": (5, 3), "M_hat_mul": (5, 3)},
        ),
        (True, "constant", {"W_hat": (5, 3), "M_hat": (5, 3), "G": (1,)}),
        (False, "row", {"W_hat": (5, 3), "M_hat": (5, 3), "G": (1, 3), "W_hat_mul": (5, 3), "M_hat_mul": (5, 3)}),
    ],
)
def test_parameters(tied: bool, gate: str, shapes: dict[str, tuple[int, int]]) -> None:
    cell = NALUCell(3, 5, tied=tied, gate=gate)
    assert {name: tuple(value.shape) for name, value in cell.named_parameters()} == shapes
    assert list(cell.state_dict()) == list(shapes)
    assert list(cell.buffers()) == []


def test_eps_changes_the_result_at_zero() -> None:
    """At x = 0 the product is ε to the sum of the weights: ε is part of the function."""
    results = []
    for eps in (1e-10, 1e-3):
        torch.manual_seed(1)
        cell = NALUCell(2, 1, eps=eps)
        W = effective_weight(cell.W_hat, cell.M_hat).detach().double()
        expected = 0.5 * eps ** float(W.sum())
        results.append(cell(torch.zeros(1, 2)).item())
        assert results[-1] == pytest.approx(expected, rel=1e-4)
    assert results[0] != results[1]


def test_the_product_survives_a_saturated_gate() -> None:
    """σ(z) rounds to 1 at z = 20 in float32; ``1 − σ(z)`` would lose a product that is 2e9 times larger."""
    cell = NALUCell(1, 1, tied=False)
    with torch.no_grad():
        cell.W_hat.fill_(0.0)
        cell.W_hat_mul.fill_(40.0)
        cell.M_hat_mul.fill_(100.0)
        cell.G.fill_(20.0 / 1e7)
    assert cell(torch.tensor([[1e7]])).item() == pytest.approx(1e7 * np.exp(-20.0), rel=1e-4)


@pytest.mark.parametrize(("eps", "expected"), [(1e-30, 1e-30), (1.0, 1.0), (1, 1.0), (1e-10, 1e-10)])
def test_eps_at_the_ends_of_its_range(eps: float, expected: float) -> None:
    found = NALUCell(1, 1, eps=eps).eps
    assert (found, type(found)) == (expected, float)


@pytest.mark.parametrize("eps", [0.0, 0, -1e-10, 9e-31, 1.0000001, float("nan"), float("inf"), True, "1e-10", None])
def test_wrong_eps(eps: Any) -> None:
    with pytest.raises(InputError) as caught:
        checked_eps(eps)
    assert str(caught.value) == f"eps is {eps!r}; it must be a number from 1e-30 to 1"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"in_features": 0}, "in_features is 0; it must be an integer of at least 1"),
        ({"out_features": None}, "out_features is None; it must be an integer of at least 1"),
        ({"eps": 0}, "eps is 0; it must be a number from 1e-30 to 1"),
        ({"tied": 1}, "tied is 1; allowed: True, False"),
        ({"tied": None}, "tied is None; allowed: True, False"),
        ({"gate": "column"}, "gate is 'column'; allowed: 'matrix', 'row', 'constant'"),
        ({"gate": None}, "gate is None; allowed: 'matrix', 'row', 'constant'"),
        ({"stored": 1}, "stored is 1; allowed: True, False"),
        ({"gate_bias": None}, "gate_bias is None; allowed: True, False"),
        ({"two_gates": "yes"}, "two_gates is 'yes'; allowed: True, False"),
        (
            {"gate": "constant", "gate_bias": True},
            "gate is 'constant'; gate_bias and two_gates need gate='matrix'",
        ),
        ({"gate": "row", "two_gates": True}, "gate is 'row'; gate_bias and two_gates need gate='matrix'"),
        ({"init": "zeros"}, "init is 'zeros'; allowed: 'kaiming_uniform', 'kaiming_normal', 'xavier_uniform'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        NALUCell(**({"in_features": 2, "out_features": 1} | arguments))
    assert str(caught.value) == text


def test_repr() -> None:
    assert repr(NALUCell(3, 5, eps=1e-7, tied=False, gate="row")) == (
        "NALUCell(in_features=3, out_features=5, eps=1e-07, tied=False, gate='row')"
    )


def test_names_of_every_variant() -> None:
    cell = NALUCell(3, 5, stored=True, tied=False, two_gates=True, gate_bias=True)
    assert {name: tuple(value.shape) for name, value in cell.state_dict().items()} == {
        "W": (5, 3),
        "W_mul": (5, 3),
        "G": (5, 3),
        "G_mul": (5, 3),
        "G_bias": (5,),
        "G_bias_mul": (5,),
    }
    assert "stored=True, gate_bias=True, two_gates=True" in repr(cell)
