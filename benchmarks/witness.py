"""The exact output of one NALU cell and its condition-aware error, in numpy and written out in closed form.

Independent of :mod:`nalu_export.parity` on purpose: that package derives ``D`` from the traced graph, this file from
paper and pencil, and a test compares the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.running import Array

ROUNDOFF = 2.0**-24
Double = NDArray[np.float64]


@dataclass(frozen=True)
class Parameters:
    """Raw float32 parameters of one cell, each ``(out_features, in_features)``, and its ε."""

    W_hat: Array
    M_hat: Array
    G: Array
    eps: float = 1e-10


@dataclass(frozen=True)
class Witness:
    """What a batch should give, each ``(samples, out_features)``.

    Attributes:
        output: in float64 from the float32 parameters and inputs.
        terms: size of the terms that are added, ``g·|W||x| + h·m``.
        d: ``D``, the terms widened by how much each amplifies a relative perturbation of its inputs.
    """

    output: Double
    terms: Double
    d: Double

    def errors(self, out: Array) -> Double:
        """``E`` of each output, in float32 roundoffs; not finite where ``out`` is not."""
        with np.errstate(invalid="ignore"):
            errors: Double = np.abs(out - self.output) / (ROUNDOFF * self.d)
        return errors

    def off(self, out: Array, share: float) -> NDArray[np.bool_]:
        """Where ``out`` is off by more than ``share`` of the terms, or not finite."""
        with np.errstate(invalid="ignore"):
            near: NDArray[np.bool_] = np.abs(out - self.output) <= share * self.terms
        return ~near


def witness(parameters: Parameters, x: Array) -> Witness:
    """``D = g·(|W||x|)·(1 + h·|G||x|) + h·m·(1 + |W||log(|x|+ε)| + g·|G||x|)``, ``g = σ(z)``, ``h = σ(−z)``."""
    W = np.tanh(parameters.W_hat.astype(np.float64)) * _sigmoid(parameters.M_hat.astype(np.float64))
    G, x64 = parameters.G.astype(np.float64), x.astype(np.float64)
    logs = np.log(np.abs(x64) + parameters.eps)
    m = np.exp(logs @ W.T)
    z = x64 @ G.T
    g, h = _sigmoid(z), _sigmoid(-z)
    sums, gates = np.abs(x64) @ np.abs(W).T, np.abs(x64) @ np.abs(G).T
    return Witness(
        output=g * (x64 @ W.T) + h * m,
        terms=g * sums + h * m,
        d=g * sums * (1 + h * gates) + h * m * (1 + np.abs(logs) @ np.abs(W).T + g * gates),
    )


def _sigmoid(z: Double) -> Double:
    """``σ(z)`` to a relative roundoff at both ends."""
    power = np.exp(-np.abs(z))
    result: Double = np.where(z >= 0, 1.0, power) / (1.0 + power)
    return result
