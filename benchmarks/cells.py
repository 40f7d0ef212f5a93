"""Weights and inputs that the fidelity benchmarks draw, seeded."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from torch import Tensor

from benchmarks.running import Array
from benchmarks.usual_nalu import UsualNALUCell
from benchmarks.witness import Parameters

OUTPUTS = 8
SAMPLES = 4096
SIZES = (2, 16, 64, 256)
# Four factors of 1e-10 (zeros under a weight of −1) would be 1e40, which float32 cannot hold in any form.
FACTORS = 3

_Draw = Callable[[Generator, tuple[int, int]], Array]


def between(low: float, high: float, zeros: float = 0.0) -> _Draw:
    """What draws uniform inputs, a share of them exactly zero."""

    def draw(rng: Generator, shape: tuple[int, int]) -> Array:
        x = rng.uniform(low, high, shape)
        if zeros:
            x[rng.uniform(size=shape) < zeros] = 0.0
        return x.astype(np.float32)

    return draw


RANGES: dict[str, _Draw] = {
    "0.1..1": between(0.1, 1.0),
    "1..10": between(1.0, 10.0),
    "1e3..1e4": between(1e3, 1e4),
    "−10..10": between(-10.0, 10.0),
    "0..10, 30 % zeros": between(0.0, 10.0, zeros=0.3),
}


def saturated(rng: Generator, in_features: int, large: float = 40.0, eps: float = 1e-10) -> Parameters:
    """A cell that has learnt its task: up to three weights of ±1 for each output, the others off.

    A weight is off by ``W_hat = 0`` (exactly 0) or by ``M_hat = −large`` (small, but not 0), one as often as the other
    two signs. ``G`` is normal with variance ``1/in_features``.
    """
    shape = (OUTPUTS, in_features)
    W_hat = rng.choice([-large, 0.0, large], shape)
    M_hat = np.full(shape, -large)
    for row in range(OUTPUTS):
        used = rng.choice(in_features, min(FACTORS, in_features), replace=False)
        W_hat[row, used] = rng.choice([-large, large], len(used))
        M_hat[row, used] = large
    G = rng.standard_normal(shape) / np.sqrt(in_features)
    return Parameters(W_hat.astype(np.float32), M_hat.astype(np.float32), G.astype(np.float32), eps)


def initialised(in_features: int) -> Parameters:
    """A cell as it is before training, from torch's global generator."""
    cell = UsualNALUCell(in_features, OUTPUTS)
    return Parameters(_numpy(cell.W_hat), _numpy(cell.M_hat), _numpy(cell.G), cell.eps)


def _numpy(parameter: Tensor) -> Array:
    array: Array = parameter.detach().numpy()
    return array
