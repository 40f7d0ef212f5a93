"""benchmarks.long_sums: the weights are what the table says they are."""

import numpy as np
import pytest
import torch

from benchmarks import fidelity, long_sums
from nalu_export.nn.functional import effective_weight


@pytest.mark.parametrize(
    ("kind", "smallest", "largest"),
    [(long_sums.OFF, 0.0, 4.3e-18), (long_sums.NEARLY_OFF, 0.0, 2.1e-9), (long_sums.ONE_SIGN, 4.1e-8, 4.2e-8)],
)
def test_three_weights_stand_out(kind: str, smallest: float, largest: float) -> None:
    parameters = long_sums.parameters_of(kind, 64, seed=0)
    arrays = (parameters.W_hat, parameters.M_hat)
    W = effective_weight(*(torch.from_numpy(array).double() for array in arrays)).abs().numpy()
    W.sort(axis=1)
    np.testing.assert_allclose(W[:, -3:], 1.0, atol=1e-7)
    assert smallest <= W[:, :-3].min() <= W[:, :-3].max() <= largest


def test_small_cell_is_exact_and_passes_its_check() -> None:
    found = long_sums.measure(long_sums.OFF, size=2, seeds=1)
    assert found.cell.within(fidelity.LIMIT32)
    assert found.refused == 0
    assert str(found) == str(found.cell)
