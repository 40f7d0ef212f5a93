import numpy as np
import pytest
import torch

from nalu_export import InputError
from nalu_export.nn import SignedNALUCell
from tests.nn.formulas import both_weights, gates, weights_of


@pytest.mark.parametrize("gate", ["constant", "row", "matrix"])
def test_formula(gate: str) -> None:
    cell = SignedNALUCell(4, 3, 1e-5, gate).double()
    x = torch.randn(40, 4, dtype=torch.float64) * 20
    x[0], x[1, :2] = 0.0, 0.0
    weights, v = weights_of(cell), x.numpy()
    W, _ = both_weights(weights)
    g, h = gates(v, weights)
    sign = np.prod(np.sign(v), axis=1, keepdims=True)
    expected = g * (v @ W.T) + h * sign * np.exp(np.log(np.abs(v) + 1e-5) @ W.T)
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_the_product_has_the_sign_of_all_inputs() -> None:
    cell = SignedNALUCell(3, 1)
    with torch.no_grad():
        cell.W_hat.copy_(torch.tensor([[20.0, 20.0, 0.0]]))
        cell.M_hat.fill_(20.0)
        cell.G.fill_(-100.0)
    x = torch.tensor([[2.0, -3.0, 5.0], [2.0, 3.0, -5.0], [2.0, -3.0, -5.0], [2.0, 3.0, 0.0]])
    assert cell(x).flatten().tolist() == pytest.approx([-6.0, -6.0, 6.0, 0.0], rel=1e-5)


def test_eps_outside_its_range() -> None:
    with pytest.raises(InputError, match="eps is 0; it must be a number from 1e-30 to 1"):
        SignedNALUCell(2, 1, eps=0)
