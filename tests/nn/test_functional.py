import math

import numpy as np
import pytest
import torch

from nalu_export.nn.functional import effective_weight, log_magnitude
from tests.nn.formulas import effective


@pytest.mark.parametrize("shape", [(1,), (3, 2), (2, 1, 4)])
def test_effective_weight_is_tanh_times_sigmoid(shape: tuple[int, ...]) -> None:
    W_hat, M_hat = (torch.randn(shape, dtype=torch.float64) * 3 for _ in range(2))
    expected = effective(W_hat.numpy(), M_hat.numpy())
    np.testing.assert_allclose(effective_weight(W_hat, M_hat).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("w", "m", "expected"),
    [(0.0, 0.0, 0.0), (40.0, 200.0, 1.0), (-40.0, 200.0, -1.0), (40.0, -200.0, 0.0), (40.0, 0.0, 0.5)],
    ids=["origin", "one", "minus one", "absent", "half"],
)
def test_effective_weight_saturates_at_minus_one_zero_and_one(w: float, m: float, expected: float) -> None:
    found = effective_weight(torch.tensor([w]), torch.tensor([m]))
    assert found.item() == pytest.approx(expected, abs=1e-30)


@pytest.mark.parametrize("eps", [1e-30, 1e-12, 1e-10, 1e-3, 1.0])
def test_log_magnitude_is_finite_at_zero_and_even(eps: float) -> None:
    x = torch.tensor([0.0, -0.0, 2.0, -2.0, 1e7, -1e7], dtype=torch.float64)
    found = log_magnitude(x, eps)
    expected = [math.log(abs(value) + eps) for value in x.tolist()]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-15)
    assert torch.equal(found[0::2], found[1::2])


@pytest.mark.parametrize("eps", [1e-30, 1e-12, 1e-10])
def test_log_magnitude_has_a_zero_gradient_at_exact_zero(eps: float) -> None:
    x = torch.zeros(3, requires_grad=True)
    log_magnitude(x, eps).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(3))
