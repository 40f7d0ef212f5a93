"""The inputs of a check: named families, seeded, from the training range to where float32 ends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_Draw = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]


def _uniform(low: float, high: float) -> _Draw:
    return lambda rng, shape: rng.uniform(low, high, shape)


def _decades(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Each sample in a decade of its own, 1..10 up to 1e6..1e7."""
    scale = 10.0 ** rng.integers(0, 7, (shape[0], *[1] * (len(shape) - 1)))
    return scale * rng.uniform(1.0, 10.0, shape)


def _zeros(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """0..10 with 30 % exact zeros, a sample of nothing else, and a feature that is zero throughout."""
    x = rng.uniform(0.0, 10.0, shape) * (rng.uniform(size=shape) >= 0.3)
    x[:1] = 0.0
    x.reshape(shape[0], -1)[:, :1] = 0.0
    return x


def _ones(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Exact ones and minus ones, the first sample all ones: log is 0 and cancellation is exact."""
    x = rng.choice([-1.0, 1.0], shape)
    x[:1] = 1.0
    return x


def _mixed(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Both signs and magnitudes from 1e-7 to 1e7 within one sample."""
    return rng.choice([-1.0, 1.0], shape) * 10.0 ** rng.uniform(-7.0, 7.0, shape)


def _subnormal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Multiples of the smallest float32, subnormal and just above."""
    return rng.choice([-1.0, 1.0], shape) * rng.integers(0, 2**24, shape) * 2.0**-149


FAMILIES: dict[str, _Draw] = {
    "0.1..1": _uniform(0.1, 1.0),
    "1..10": _uniform(1.0, 10.0),
    "1e3..1e4": _uniform(1e3, 1e4),
    "decades to 1e7": _decades,
    "-10..10": _uniform(-10.0, 10.0),
    "zeros": _zeros,
    "ones": _ones,
    "mixed 1e±7": _mixed,
    "subnormal": _subnormal,
}


@dataclass(frozen=True)
class Batch:
    """One call of a runtime: ``x`` of shape (samples, …) out of the family ``family``."""

    family: str
    x: Array


def draw(shapes: list[tuple[int, ...]], samples: int, seed: int) -> Iterator[Batch]:
    """Every family over every shape, in batches of 1, 2 and the rest.

    Args:
        shapes: shapes of one sample, several where the image size is free; each takes its share of the samples.
        samples: samples of each family.
        seed: same seed, same inputs.
    """
    for index, (family, values) in enumerate(FAMILIES.items()):
        rng = np.random.default_rng([seed, index])
        for shape, share in zip(shapes, shares(samples, len(shapes)), strict=True):
            x = values(rng, (share, *shape)).astype(np.float32)
            for part in np.split(x, [1, 3]):
                if len(part):
                    yield Batch(family, part)


def shares(total: int, parts: int) -> list[int]:
    """``total`` split into ``parts`` that differ by at most one, none empty."""
    return [max(1, (total + part) // parts) for part in range(parts)]
