"""Balls for the rules, and float32 arithmetic as runtimes do it: any order, fused, flushed, cut off."""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from nalu_export.parity.analysis import OWN_ERROR
from nalu_export.primitives import PRIMITIVES
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import FLOAT32, Precision

U = 2.0**-24
TINY = 2.0**-126
MAX = float(np.finfo(np.float32).max)
# The analysis itself may be off by this share of a radius.
SLACK = 1.0 + OWN_ERROR

# Every float32: zeros of both signs, subnormals, huge numbers, ties, and the landmarks of the formulas.
NUMBERS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-10, 10, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-149), TINY, 1 + 2.0**-23, -1.0 - 2.0**-23, 1e7, 88.0]),
).map(lambda number: float(np.float32(number)))
# Radius of a ball, relative to the number and absolute.
RELATIVE = st.sampled_from([0.0, 0.0, 2.0**-24, 1e-6, 1e-3, 0.3])
ABSOLUTE = st.sampled_from([0.0, 0.0, 1e-38, 1e-8, 1e-3, 0.7])
# Where in its ball the number lies that float32 has.
OFFSETS = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1))


Numbers = Tensor | Sequence[float] | Sequence[Sequence[float]]


def ball(value: Numbers, radius: Numbers | float = 0.0) -> Conditioned:
    """A value that is known up to a radius."""
    given = torch.as_tensor(value, dtype=torch.float64)
    return Conditioned.exact(given, torch.as_tensor(radius, dtype=torch.float64).expand(given.shape))


def radius_of(name: str, *arguments: Any, precision: Precision = FLOAT32) -> tuple[Tensor, Tensor]:
    """Value and radius of one primitive."""
    result = PRIMITIVES[name].conditioned(precision, *arguments)
    return result.value, result.radius


def around(number: float, relative: float, absolute: float, offset: float) -> tuple[float, float]:
    """Centre and radius of a ball in which the float32 ``number`` lies."""
    radius = relative * abs(number) + absolute
    centre = number + offset * radius
    # Rounded up: the centre and the distance from it are rounded as well.
    return centre, max(radius, abs(number - centre)) * (1 + 2.0**-50)


@st.composite
def balls(draw: st.DrawFn, count: int, numbers: st.SearchStrategy[float] = NUMBERS) -> tuple[list[float], Conditioned]:
    """Float32 numbers, and balls in which they lie."""
    own = [draw(numbers) for _ in range(count)]
    found = [around(number, draw(RELATIVE), draw(ABSOLUTE), draw(OFFSETS)) for number in own]
    return own, ball([centre for centre, _ in found], [radius for _, radius in found])


@contextmanager
def flushing() -> Iterator[bool]:
    """Subnormal numbers become zero, where the processor can do that."""
    able = bool(torch.set_flush_denormal(True))
    try:
        yield able
    finally:
        torch.set_flush_denormal(False)


Terms = list[np.float32]
Add = Callable[[np.float32, np.float32], np.float32]


def rounded(a: np.float32, b: np.float32) -> np.float32:
    """The addition of IEEE 754."""
    return np.float32(a + b)


def cut(a: np.float32, b: np.float32) -> np.float32:
    """An addition that cuts digits off, as tensor cores do."""
    return cut_to(float(a) + float(b), 0)


def cut_to(number: float, bits: int) -> np.float32:
    """``number`` towards zero, with that many bits less than float32."""
    near = np.float32(number)
    if abs(float(near)) > abs(number):
        near = np.nextafter(near, np.float32(0))
    kept = near.view(np.int32) & np.int32(~((1 << bits) - 1))
    return np.float32(np.int32(kept).view(np.float32))


def pairwise(terms: Terms, add: Add = rounded) -> np.float32:
    """Halves first."""
    if len(terms) == 1:
        return terms[0]
    middle = len(terms) // 2
    return add(pairwise(terms[:middle], add), pairwise(terms[middle:], add))


def sequential(terms: Terms, add: Add = rounded) -> np.float32:
    """One after the other."""
    total = terms[0]
    for term in terms[1:]:
        total = add(total, term)
    return total


def lanes(terms: Terms, add: Add = rounded) -> np.float32:
    """Four accumulators, as a vector unit has them."""
    return pairwise([sequential(terms[lane::4], add) for lane in range(min(4, len(terms)))], add)


def fused(x: Sequence[np.float32], w: Sequence[np.float32], start: float = 0.0) -> np.float32:
    """Fused multiply-adds; the rounding to float64 before that to float32 costs 2⁻²⁹ of a roundoff."""
    total = np.float32(start)
    for a, b in zip(x, w, strict=True):
        total = np.float32(float(a) * float(b) + float(total))
    return total


def orders(count: int) -> Iterator[list[int]]:
    """Forwards, backwards, shuffled."""
    yield list(range(count))
    yield list(range(count))[::-1]
    for seed in range(6):
        shuffled = list(range(count))
        random.Random(seed).shuffle(shuffled)
        yield shuffled


def sums(x: Sequence[float], w: Sequence[float], bias: float | None = None, add: Add = rounded) -> list[float]:
    """``Σ x·w + bias`` in float32, in many orders; the bias first, in the middle and last."""
    xs, ws = [np.float32(number) for number in x], [np.float32(number) for number in w]
    products = [np.float32(a * b) for a, b in zip(xs, ws, strict=True)]
    extra = [] if bias is None else [np.float32(bias)]
    by_size = sorted(range(len(xs)), key=lambda index: abs(float(products[index])))
    found: list[np.float32] = []
    for order in [*orders(len(xs)), by_size, by_size[::-1]]:
        terms = [products[index] for index in order]
        for own in ([*terms, *extra], [*extra, *terms]):
            found += [sequential(own, add), pairwise(own, add), lanes(own, add)]
        if add is rounded:
            found.append(fused([xs[i] for i in order], [ws[i] for i in order], bias or 0.0))
    return [float(total) for total in found]


def exact_sum(x: Sequence[float], w: Sequence[float], bias: float | None = None) -> float:
    """The same without rounding, but for the products of numbers that need more than float32."""
    return math.fsum([*(a * b for a, b in zip(x, w, strict=True)), bias or 0.0])
