from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import InputError
from nalu_export.nn import ClampedNALUCell
from tests.nn.formulas import effective, gates, weights_of


@pytest.mark.parametrize("options", [{}, {"eps": 1e-3, "floor": 0.5, "limit": 2.0}, {"floor": 0.0}], ids=str)
def test_formula(options: dict[str, Any]) -> None:
    cell = ClampedNALUCell(4, 3, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-2.0, 2.0)
    x = torch.randn(50, 4, dtype=torch.float64) * torch.logspace(-9, 9, 50, dtype=torch.float64)[:, None]
    x[0], x[1, :2] = 0.0, 0.0
    weights, v = weights_of(cell), x.numpy()
    W = effective(weights["W_hat"], weights["M_hat"])
    W_mul = effective(weights["W_hat_mul"], weights["M_hat_mul"])
    exponent = np.log(np.maximum(np.abs(v), cell.floor) + cell.eps) @ W_mul.T
    assert (np.abs(exponent) > cell.limit).any()
    g, h = gates(v, weights)
    expected = g * (v @ W.T) + h * np.exp(np.clip(exponent, -cell.limit, cell.limit))
    # 1 − σ cancels in this reference where the gate is 1.
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"eps": 0}, "eps is 0; it must be a number from 1e-30 to 1"),
        ({"floor": -1e-7}, "floor is -1e-07; it must be a number from 0 to 1"),
        ({"floor": True}, "floor is True; it must be a number from 0 to 1"),
        ({"limit": 81}, "limit is 81; it must be a number from 1 to 80"),
        ({"limit": float("nan")}, "limit is nan; it must be a number from 1 to 80"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        ClampedNALUCell(2, 1, **options)
    assert str(caught.value) == text
