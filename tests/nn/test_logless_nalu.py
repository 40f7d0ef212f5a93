import numpy as np
import pytest
import torch

from nalu_export import InputError
from nalu_export.nn import LoglessNALUCell
from tests.nn.formulas import both_weights, gates, weights_of


def test_formula() -> None:
    cell = LoglessNALUCell(4, 3, 1e-3).double()
    x = torch.randn(40, 4, dtype=torch.float64) * 5
    x[0], x[1, :2] = 0.0, 0.0
    weights, v = weights_of(cell), x.numpy()
    W, _ = both_weights(weights)
    g, h = gates(v, weights)
    expected = g * (v @ W.T) + h * np.exp((np.abs(v) + 1e-3) @ W.T)
    np.testing.assert_allclose(cell(x).detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_eps_outside_its_range() -> None:
    with pytest.raises(InputError, match="eps is 0; it must be a number from 1e-30 to 1"):
        LoglessNALUCell(2, 1, eps=0)
