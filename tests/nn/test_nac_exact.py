import numpy as np
import torch

from nalu_export.nn import NACExactCell
from tests.nn.formulas import sigmoid, weights_of


def test_formula() -> None:
    cell = NACExactCell(4, 3).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.uniform_(-2.0, 2.0)
    x = torch.randn(30, 4, dtype=torch.float64) * 3
    x[0] = 0.0
    w, v = weights_of(cell), x.numpy()
    expected = (1.0 - 2.0 * sigmoid(v @ w["G"].T + w["G_bias"])) * (v @ w["W"].T + w["bias"])
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_it_does_not_cancel_where_the_gate_is_half() -> None:
    cell = NACExactCell(1, 1)
    with torch.no_grad():
        cell.W.fill_(1.0)
        cell.G.fill_(1e-9)
    assert abs(cell(torch.tensor([[2.0]])).item() / (-2e-9) - 1.0) < 1e-6
