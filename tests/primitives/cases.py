"""One case for each primitive that computes: numbers that make sense, and evaluations of it in any precision."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nalu_export.primitives import PRIMITIVES

Array = NDArray[np.floating]
Draw = Callable[[np.random.Generator, tuple[int, ...], type], Array]
Evaluation = Callable[..., Any]

LANDMARKS = (
    *(0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.75, -0.75, 2.0, 3.0, -3.0, 20.0, 88.0, -88.0),
    *(1 + 2.0**-23, 1 - 2.0**-24, -1 + 2.0**-24, 2.0**-126, -(2.0**-126), 2.0**-149, 2.0**-100, 1e7, -1e7, 1e-10),
)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: type, decades: float = 38.0) -> Array:
    """Of both signs and every size, landmarks of the formulas among them."""
    moderate = rng.uniform(-10, 10, shape)
    wide = np.exp(np.log(10) * rng.uniform(-decades, decades, shape)) * rng.choice([-1.0, 1.0], shape)
    kind = rng.integers(0, 3, shape)
    with np.errstate(over="ignore"):
        found = np.select([kind == 0, kind == 1], [moderate, wide], rng.choice(LANDMARKS, shape)).astype(dtype)
    result: Array = np.where(np.isfinite(found), found, dtype(1.0)).astype(dtype)
    return result


def within(low: float, high: float) -> Draw:
    """Numbers between two ends, both included."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
        found = np.where(rng.random(shape) < 0.5, rng.uniform(low, high, shape), numbers(rng, shape, np.float64, 30.0))
        return np.clip(found, low, high).astype(dtype)

    return draw


def positive(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
    """Numbers above zero, many of them near 1."""
    found = np.where(rng.random(shape) < 0.3, rng.uniform(0.875, 1.125, shape), np.abs(numbers(rng, shape, dtype)))
    return np.where(found == 0, 1.0, found).astype(dtype)


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
    """Small whole numbers, and numbers beside them."""
    found = rng.integers(-5, 6, shape) + np.where(rng.random(shape) < 0.7, 0.0, rng.uniform(-0.6, 0.6, shape))
    return found.astype(dtype)


def truth(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
    """Zeros and ones."""
    return rng.integers(0, 2, shape).astype(dtype)


def middling(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
    """Factors of which a handful stays in range, multiplied in any order; exact ones and zeros among them."""
    found = np.exp2(rng.uniform(-20, 20, shape)) * rng.choice([-1.0, 1.0], shape)
    return np.select([rng.random(shape) < 0.1, rng.random(shape) < 0.02], [1.0, 0.0], found).astype(dtype)


def factors(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
    """Factors of sums that stay in range, half of them near each other in size."""
    found = np.where(rng.random(shape) < 0.5, rng.uniform(-3, 3, shape), numbers(rng, shape, np.float64, 15.0))
    return found.astype(dtype)


def either(first: Draw, second: Draw) -> Draw:
    """Half of each."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: type) -> Array:
        found: Array = np.where(rng.random(shape) < 0.5, first(rng, shape, dtype), second(rng, shape, dtype))
        return found

    return draw


@dataclass(frozen=True)
class Case:
    """How a primitive is tried.

    Attributes:
        draws: the numbers of each argument.
        rest: arguments behind them.
        exactly: the primitive in whatever type the arrays have; ``longdouble`` among them.
        others: further evaluations that are as good, in the type of the arrays.
        shapes: of one row of each argument; without any they are numbers.
        masks: which of the arguments are truth values in torch.
        rows: how many are tried at a time.
    """

    draws: tuple[Draw, ...]
    exactly: Evaluation
    rest: tuple[Any, ...] = ()
    others: tuple[Evaluation, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    masks: tuple[int, ...] = ()
    rows: int = 6000

    def drawn(self, dtype: type, seed: int) -> list[Array]:
        """The numbers of every argument."""
        rng = np.random.default_rng(seed)
        shapes = self.shapes or ((),) * len(self.draws)
        return [draw(rng, (self.rows, *shape), dtype) for draw, shape in zip(self.draws, shapes, strict=True)]

    def in_torch(self, name: str, arrays: Sequence[Array]) -> Array:
        """What torch gives."""
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
        given = [tensor.bool() if place in self.masks else tensor for place, tensor in enumerate(tensors)]
        result: Array = PRIMITIVES[name].function(*given, *self.rest).to(tensors[-1].dtype).numpy()
        return result


def _unary(function: Evaluation, draw: Draw = numbers) -> Case:
    return Case((draw,), function)


def _binary(function: Evaluation, left: Draw = numbers, right: Draw = numbers) -> Case:
    return Case((left, right), function)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _erf(x: Array) -> Array:
    """By its power series up to 2, one less the continued fraction of erfc beyond; in the type of ``x``."""
    x = np.asarray(x)
    near, far = np.clip(x, -2, 2), np.clip(np.abs(x), 2, None)
    term, total = near, near
    for k in range(1, 90):
        term = term * (2 * near * near) / x.dtype.type(2 * k + 1)
        total = total + term
    series = total * np.exp(-near * near) * (2 / np.sqrt(x.dtype.type(np.pi)))
    fraction = far
    for k in range(120, 0, -1):
        fraction = far + x.dtype.type(k) / 2 / fraction
    tail = np.exp(-far * far) / fraction / np.sqrt(np.longdouble(np.pi)).astype(x.dtype)
    found: Array = np.where(np.abs(x) <= 2, series, np.sign(x) * (1 - tail))
    return found


def _sequential(x: Array) -> Array:
    return np.add.accumulate(x, axis=-1)[..., -1]


ROW = ((6,),)

CASES: dict[str, Case] = {
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "div": _binary(np.divide),
    "neg": _unary(np.negative),
    "abs": _unary(np.abs),
    "sign": _unary(np.sign),
    "floor": _unary(np.floor, whole),
    "ceil": _unary(np.ceil, whole),
    "round": _unary(np.round, whole),
    "trunc": _unary(np.trunc, whole),
    "sqrt": _unary(np.sqrt, positive),
    "log": _unary(np.log, positive),
    "log1p": _unary(np.log1p, within(-1.0, 1e30)),
    "exp": _unary(np.exp, within(-120.0, 88.0)),
    "expm1": _unary(np.expm1, within(-120.0, 88.0)),
    "tanh": _unary(np.tanh),
    "sigmoid": _unary(_sigmoid, within(-120.0, 120.0)),
    "erf": _unary(_erf, within(-8.0, 8.0)),
    "sinh": _unary(np.sinh, within(-88.0, 88.0)),
    "asinh": _unary(np.arcsinh),
    "sin": _unary(np.sin, within(-1e4, 1e4)),
    "cos": _unary(np.cos, within(-1e4, 1e4)),
    "pow": _binary(np.power, either(whole, positive), either(whole, within(-8.0, 8.0))),
    "clamp": Case((whole,), lambda x: np.minimum(np.maximum(x, -1.0), 2.0), (-1.0, 2.0)),
    "maximum": _binary(np.maximum, whole, whole),
    "minimum": _binary(np.minimum, whole, whole),
    **{name: _binary(getattr(operator, name), whole, whole) for name in ("gt", "lt", "ge", "le", "eq", "ne")},
    "logical_and": Case((truth, truth), np.logical_and, masks=(0, 1)),
    "logical_or": Case((truth, truth), np.logical_or, masks=(0, 1)),
    "logical_not": Case((truth,), np.logical_not, masks=(0,)),
    "where": Case((truth, numbers, numbers), lambda c, a, b: np.where(c != 0, a, b), masks=(0,)),
    "sum": Case(
        (numbers,),
        lambda x: x.sum(-1),
        (-1, False),
        (_sequential, lambda x: _sequential(x[..., ::-1]), lambda x: _sequential(np.sort(x, axis=-1))),
        ROW,
    ),
    "mean": Case(
        (numbers,),
        lambda x: x.mean(-1),
        (-1, False),
        (lambda x: _sequential(x) / x.dtype.type(6), lambda x: _sequential(x * (1 / x.dtype.type(6)))),
        ROW,
    ),
    "amax": Case((whole,), lambda x: x.max(-1), (-1, False), (), ROW),
    "amin": Case((whole,), lambda x: x.min(-1), (-1, False), (), ROW),
    "prod": Case((middling,), lambda x: x.prod(-1), (-1, False), (lambda x: x[..., ::-1].prod(-1),), ROW),
    "linear": Case((factors, factors), lambda x, w: x @ w.T, (None,), shapes=((5,), (5,)), rows=80),
    "matmul": Case((factors, factors), np.matmul, shapes=((3, 5), (5, 2)), rows=1000),
}
