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
    W, W_mul = both_weights(weights)
    a = np.einsum("oi,...i->...o", W, x)
    m = np.prod((np.abs(x)[..., None, :] + eps) ** W_mul, axis=-1)
    g, h = gates(x, weights)
    return np.asarray(g * a + h * m)


def both_weights(weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """The weights of the sum and of the product, stored or from raw parameters."""
    found = [
        weights[f"W{s}"] if f"W{s}" in weights else effective(weights[f"W_hat{s}"], weights[f"M_hat{s}"])
        for s in ("", "_mul")
        if f"W{s}" in weights or f"W_hat{s}" in weights
    ]
    return found[0], found[-1]


def gates(x: Array, weights: Mapping[str, Array]) -> tuple[Array, Array]:
    """σ(G x + b) and what is left of 1, or the second gate where there is one; a G of one number does not see x."""
    G = weights["G"]
    g = sigmoid(G if G.shape == (1,) else np.einsum("oi,...i->...o", G, x) + weights.get("G_bias", 0.0))
    if "G_mul" not in weights:
        return g, 1.0 - g
    return g, sigmoid(np.einsum("oi,...i->...o", weights["G_mul"], x) + weights.get("G_bias_mul", 0.0))


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
