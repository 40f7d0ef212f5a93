import numpy as np
import pytest
import torch

from nalu_export.nn import SinhNALUCell
from tests.nn.formulas import both_weights, gates, weights_of


@pytest.mark.parametrize("stored", [True, False])
def test_formula(stored: bool) -> None:
    cell = SinhNALUCell(4, 3, stored=stored).double()
    x = torch.randn(40, 4, dtype=torch.float64) * 20
    x[0], x[1, :2] = 0.0, 0.0
    weights, v = weights_of(cell), x.numpy()
    W, _ = both_weights(weights)
    g, h = gates(v, weights)
    expected = g * (v @ W.T) + h * np.sinh(np.arcsinh(v) @ W.T)
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_the_product_keeps_the_sign() -> None:
    cell = SinhNALUCell(2, 1, stored=True)
    with torch.no_grad():
        cell.W.fill_(1.0)
        cell.G.zero_()
    assert cell(torch.tensor([[-3.0, 0.0]])).item() == pytest.approx(-3.0, rel=1e-6)
    assert not hasattr(cell, "eps")
