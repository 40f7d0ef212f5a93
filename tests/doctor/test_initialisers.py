import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nalu_export.doctor import initialisers
from nalu_export.doctor.initialisers import as_initialised

Initialise = Callable[[Tensor], Any]


@cache
def stable_bound(features: int) -> float:
    """r of nac_w_optimal_r, here from its definition: Var[tanh(w)·σ(m)] = 2 / (fan_in + fan_out)."""
    grid = torch.linspace(0.01, 5.0, 2000, dtype=torch.float64)
    draws = torch.linspace(-1, 1, 1001, dtype=torch.float64) * grid[:, None]
    variance = draws.tanh().square().mean(dim=1) * draws.sigmoid().square().mean(dim=1)
    return float(grid[(variance - 2 / features).abs().argmin()])


def stable(matrix: Tensor) -> Tensor:
    r = stable_bound(sum(matrix.shape))
    return matrix.uniform_(-r, r)


INITIALISERS: dict[str, Initialise] = {
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_uniform(a=√5)": lambda matrix: nn.init.kaiming_uniform_(matrix, a=math.sqrt(5)),
    "xavier_uniform": nn.init.xavier_uniform_,
    "the uniform initialiser of stable-nalu": stable,
    "kaiming_normal": nn.init.kaiming_normal_,
    "xavier_normal": nn.init.xavier_normal_,
}


def drawn(name: str, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    one, other = (torch.empty(rows, columns) for _ in range(2))
    INITIALISERS[name](one)
    INITIALISERS[name](other)
    return one.to(dtype), other.to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(8, 40), (40, 8), (64, 96)])
@pytest.mark.parametrize("name", INITIALISERS)
def test_initial_matrices(name: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Nine in ten are told, by the name of what drew them."""
    found = [as_initialised(*drawn(name, *shape, dtype)) for _ in range(10)]
    assert sum(name in names for names in found) >= 7


def trained(change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> list[str]:
    return as_initialised(*change(*drawn("kaiming_uniform", 16, 24)))


@pytest.mark.parametrize(
    "change",
    [
        lambda W, M: (1.3 * W, M),
        lambda W, M: (0.95 * W, 0.95 * M),
        lambda W, M: (W, 0.7 * M),
        lambda W, M: (W, M + 0.2),
        lambda W, M: (W, torch.randn_like(M) * M.std()),
        lambda W, M: (W, W.abs().sort(dim=1).values),
        lambda W, M: (torch.zeros_like(W), M),
        lambda W, M: (W, torch.ones_like(M)),
        lambda W, M: (W, M.clone().fill_diagonal_(float("nan"))),
        lambda W, M: (W, M.clone().fill_diagonal_(float("inf"))),
        lambda W, M: (W, nn.init.kaiming_normal_(M)),
    ],
)
def test_other_matrices(change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    for _ in range(10):
        assert trained(change) == []


def test_matrices_that_move_together() -> None:
    """Each alone is as initialised: M̂ is large where |Ŵ| is."""
    W, M = drawn("xavier_uniform", 16, 24)
    together = torch.empty_like(M).flatten()
    together[W.abs().flatten().argsort()] = M.flatten().sort().values
    assert "xavier_uniform" in as_initialised(W, M)
    assert as_initialised(W, together.reshape(M.shape)) == []


def test_the_smallest_matrices() -> None:
    assert any(as_initialised(*drawn("kaiming_uniform", 8, 8)) for _ in range(5))
    assert not any(as_initialised(*drawn("kaiming_uniform", 7, 9)) for _ in range(50))


def test_kolmogorov_and_smirnov() -> None:
    """Of 1, 2, 3 and 4 fifths the distance is 1/5; the scale of the sample is that of Stephens."""
    shares = torch.tensor([0.4, 0.2, 0.8, 0.6], dtype=torch.float64)
    assert initialisers._distance(shares) == pytest.approx(0.2 * (2 + 0.12 + 0.055))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 12), st.floats(0, 1e30))
def test_any_matrices(seed: int, rows: int, columns: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, other = (scale * torch.randn(rows, columns, generator=generator) for _ in range(2))
    assert set(as_initialised(one, other)) <= INITIALISERS.keys()
