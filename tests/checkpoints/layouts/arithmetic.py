"""Numbers in extended precision that carry how far float64 may be off, so that a formula can be compared to 1e-12."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.longdouble]


@dataclass(frozen=True)
class Value:
    """An array and, in units of a relative roundoff, the size of what its terms and their amplification may lose.

    Attributes:
        value: what the formula gives, in ``numpy.longdouble``.
        size: the absolute error of a float64 evaluation, divided by its roundoff and without counts of terms.
    """

    value: Array
    size: Array


def exact(x: npt.NDArray[np.float64]) -> Value:
    """An input, which has no error."""
    value = x.astype(np.longdouble)
    return Value(value, np.zeros_like(value))


def sigmoid(z: Array) -> Array:
    """σ(z) without overflow: the larger exponential is never formed."""
    small = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1, small) / (1 + small), dtype=np.longdouble)


def linear(x: Value, weight: Array, bias: Array | None = None) -> Value:
    """``x weight + bias`` with ``weight (inputs, outputs)``."""
    magnitude = np.abs(weight)
    value, size = x.value @ weight, (np.abs(x.value) + x.size) @ magnitude
    return Value(value, size) if bias is None else Value(value + bias, size + np.abs(bias))


def log_magnitude(x: Value, eps: float | np.floating, floor: float = 0.0) -> Value:
    """``log(max(|x|, floor) + eps)``."""
    argument = np.maximum(np.abs(x.value), floor) + np.longdouble(eps)
    value = np.log(argument)
    return Value(value, np.abs(value) + x.size / argument)


def magnitude(x: Value, eps: float | np.floating) -> Value:
    """``|x| + eps``."""
    value = np.abs(x.value) + np.longdouble(eps)
    return Value(value, value + x.size)


def sign_of_all(x: Value) -> Value:
    """The product of the signs of a row, which is exact."""
    value = np.prod(np.sign(x.value), axis=-1, keepdims=True)
    return Value(value, np.zeros_like(value))


def arcsinh(x: Value) -> Value:
    """``asinh(x)``."""
    value = np.arcsinh(x.value)
    return Value(value, np.abs(value) + x.size / np.hypot(1, x.value))


def exp(x: Value) -> Value:
    """``exp(x)``."""
    value = np.exp(x.value)
    return Value(value, value * (1 + x.size))


def sinh(x: Value) -> Value:
    """``sinh(x)``."""
    value = np.sinh(x.value)
    return Value(value, np.abs(value) + np.cosh(x.value) * x.size)


def clamp(x: Value, bound: float) -> Value:
    """``x`` held in ``[−bound, bound]``."""
    inside = np.abs(x.value) <= bound
    return Value(np.clip(x.value, -bound, bound), np.where(inside, x.size, 0))


def gate(z: Value) -> Value:
    """``σ(z)``."""
    value = sigmoid(z.value)
    return Value(value, value * (1 + sigmoid(-z.value) * z.size))


def negated(x: Value) -> Value:
    """``−x``."""
    return Value(-x.value, x.size)


def product(x: Value, y: Value) -> Value:
    """``x y``."""
    return Value(x.value * y.value, np.abs(x.value * y.value) + x.size * np.abs(y.value) + y.size * np.abs(x.value))


def total(x: Value, y: Value) -> Value:
    """``x + y``."""
    return Value(x.value + y.value, x.size + y.size)


def mixed(z: Value, a: Value, m: Value) -> Value:
    """``σ(z) a + σ(−z) m``, the gate of a NALU."""
    return total(product(gate(z), a), product(gate(negated(z)), m))
