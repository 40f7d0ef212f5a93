"""What each published layer computes, written from its paper and its source and from none of this package's code.

A formula takes the tensors of one cell under their published keys, the input and ε.
"""

from collections.abc import Callable, Mapping

import numpy as np

from tests.checkpoints.layouts.arithmetic import (
    Array,
    Value,
    arcsinh,
    clamp,
    exp,
    gate,
    linear,
    log_magnitude,
    magnitude,
    mixed,
    negated,
    product,
    sigmoid,
    sign_of_all,
    sinh,
    total,
)

Cell = Mapping[str, Array]
Formula = Callable[[Cell, Value, float], Value]
Weight = Callable[[Cell], Array]


def raw(key: str) -> Weight:
    """The stored (outputs, inputs) matrix itself, as (inputs, outputs)."""
    return lambda cell: cell[key].T


def effective(hat: str, mask: str) -> Weight:
    """``tanh(hat)·σ(mask)`` of two stored (outputs, inputs) matrices, as (inputs, outputs)."""
    return lambda cell: (np.tanh(cell[hat]) * sigmoid(cell[mask])).T


def transposed(weight: Weight) -> Weight:
    """The same for matrices that are stored (inputs, outputs)."""
    return lambda cell: weight(cell).T


def nac(weight: Weight) -> Formula:
    """``y = x W``."""
    return lambda cell, x, eps: linear(x, weight(cell))


def nalu(additive: Weight, multiplicative: Weight, gates: Weight) -> Formula:
    """``y = g·(x W_a) + (1 − g)·exp(log(|x| + ε) W_m)`` with ``g = σ(x G)``."""

    def formula(cell: Cell, x: Value, eps: float) -> Value:
        m = exp(linear(log_magnitude(x, eps), multiplicative(cell)))
        return mixed(linear(x, gates(cell)), linear(x, additive(cell)), m)

    return formula


def constant_gate(cell: Cell, x: Value, eps: float) -> Value:
    """Nilabhra's NALU: the gate is one trained number, ``g = σ(G)``, and does not see x."""
    weight = effective("nac.W_hat", "nac.M_hat")(cell)
    z = np.broadcast_to(cell["G"], (len(x.value), 1))
    m = exp(linear(log_magnitude(x, eps), weight))
    return mixed(Value(z, np.zeros_like(z)), linear(x, weight), m)


def nac_exact(cell: Cell, x: Value, eps: float) -> Value:
    """wassname's NAC_exact, models/nac_exact.py: ``(1 − g)·t − g·t`` of two biased linear maps t and ``g = σ(z)``."""
    t = linear(x, cell["transform.weight"].T, cell["transform.bias"])
    z = linear(x, cell["gate.weight"].T, cell["gate.bias"])
    return mixed(z, negated(t), t)


def nalu_sinh(cell: Cell, x: Value, eps: float) -> Value:
    """wassname's NALU_sinh, models/nalu_sinh.py: ``m = sinh(asinh(x) W)``, which keeps signs and has no ε."""
    weight = cell["nac.W"].T
    m = sinh(linear(arcsinh(x), weight))
    return mixed(linear(x, cell["G"].T), linear(x, weight), m)


def clamped_nalu(cell: Cell, x: Value, eps: float) -> Value:
    """a/m/g v3: gate with or without a bias, ``log(max(|x|, 1e-7) + ε)``, exponent held in [−20, 20]."""
    logarithm = log_magnitude(x, eps, floor=1e-7)
    m = exp(clamp(linear(logarithm, effective("m.w_hat", "m.m_hat")(cell)), 20.0))
    z = linear(x, cell["g.weight"].T, cell.get("g.bias"))
    return mixed(z, linear(x, effective("a.w_hat", "a.m_hat")(cell)), m)


def first_inalu(cell: Cell, x: Value, eps: float) -> Value:
    """Johnlrr df41cf2, models/inalu.py: no floor, exponent held in [−20, 20], gate without a bias."""
    m = exp(clamp(linear(log_magnitude(x, eps), effective("nac_mul.W_hat", "nac_mul.M_hat")(cell)), 20.0))
    return mixed(linear(x, cell["G"].T), linear(x, effective("nac_add.W_hat", "nac_add.M_hat")(cell)), m)


def linear_gate(cell: Cell, x: Value, eps: float) -> Value:
    """A tied NALU with raw parameters (inputs, outputs) and ``z = x Gᵀ + b``, G and b those of an nn.Linear."""
    weight = transposed(effective("nac.w_hat", "nac.m_hat"))(cell)
    m = exp(linear(log_magnitude(x, eps), weight))
    return mixed(linear(x, cell["gate.weight"].T, cell["gate.bias"]), linear(x, weight), m)


def logless_nalu(cell: Cell, x: Value, eps: float) -> Value:
    """``m = exp((|x| + ε) W)``: the logarithm is missing."""
    weight = effective("nac.tanh_weights", "nac.sigmoid_weights")(cell)
    return mixed(linear(x, cell["gate_weights"].T), linear(x, weight), exp(linear(magnitude(x, eps), weight)))


def signed_nalu(cell: Cell, x: Value, eps: float) -> Value:
    """SNALU: gate ``σ(G)`` of one number, product times the signs of all inputs, matrices (inputs, outputs)."""
    weight = transposed(effective("_nac._W_hat", "_nac._M_hat"))(cell)
    z = np.broadcast_to(cell["_G"], (len(x.value), 1))
    m = product(sign_of_all(x), exp(linear(log_magnitude(x, eps), weight)))
    return mixed(Value(z, np.zeros_like(z)), linear(x, weight), m)


def stable_nalu(cell: Cell, x: Value, eps: float) -> Value:
    """stable_nalu/layer/_abstract_nalu.py: ``nac_mul`` where it has two NACs, ``G_mul`` where it has two gates."""
    additive = effective("nac_add.W_hat", "nac_add.M_hat")(cell)
    multiplicative = additive
    if "nac_mul.W_hat" in cell:
        multiplicative = effective("nac_mul.W_hat", "nac_mul.M_hat")(cell)
    a = linear(x, additive)
    m = exp(linear(log_magnitude(x, eps), multiplicative))
    z = linear(x, cell["G_add"].T, cell.get("bias_add"))
    if "G_mul" not in cell:
        return mixed(z, a, m)
    z_mul = linear(x, cell["G_mul"].T, cell.get("bias_mul"))
    return total(product(gate(z), a), product(gate(z_mul), m))
