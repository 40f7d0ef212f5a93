"""The cells written once more, in numpy float64 and from the paper's equations, without torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nalu_export.nn import ArithmeticLayer

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    """Through tanh, which is accurate on both sides."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def effective(W_hat: Array, M_hat: Array) -> Array:
    """Element by element, so that a transposed or broadcast weight would show."""
    assert W_hat.shape == M_hat.shape
    W = np.empty_like(W_hat)
    for index in np.ndindex(W_hat.shape):
        W[index] = np.tanh(W_hat[index]) / (1.0 + np.exp(-M_hat[index]))
    return W


def nac_cell(x: Array, weights: Mapping[str, Array]) -> Array:
    """Equation 1: a = W x."""
    return np.asarray(np.einsum("oi,...i->...o", effective(weights["W_hat"], weights["M_hat"]), x))


def nalu_cell(x: Array, weights: Mapping[str, Array], eps: float) -> Array:
    """Equation 2: y = g ⊙ a + (1 − g) ⊙ m, m = exp(W log(|x| + ε)), with a weight of its own for m when untied."""
    W = effective(weights["W_hat"], weights["M_hat"])
    W_mul = effective(weights["W_hat_mul"], weights["M_hat_mul"]) if "W_hat_mul" in weights else W
    a = np.einsum("oi,...i->...o", W, x)
    m = np.prod((np.abs(x)[..., None, :] + eps) ** W_mul, axis=-1)
    g = sigmoid(np.einsum("oi,...i->...o", weights["G"], x))
    return np.asarray(g * a + (1.0 - g) * m)


def stack(x: Array, weights: Mapping[str, Array], eps: float | None) -> Array:
    """The cells under ``layers.0.``, ``layers.1.`` … one after the other; ``eps`` is ``None`` for a NAC."""
    for index in range(1 + max(int(name.split(".")[1]) for name in weights)):
        prefix = f"layers.{index}."
        own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        x = nac_cell(x, own) if eps is None else nalu_cell(x, own, eps)
    return x


def weights_of(layer: ArithmeticLayer) -> dict[str, Array]:
    """The state_dict in float64."""
    return {name: value.double().numpy() for name, value in layer.state_dict().items()}
