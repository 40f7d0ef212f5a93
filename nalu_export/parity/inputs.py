"""The inputs of a check: named, seeded input distributions, from the training range to the limits of float32."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from nalu_export.graph.interface import Port, Sizes
from nalu_export.parity.batch import Batch

_Shape = tuple[int, ...]
# torch's generator and not numpy's: torch is imported anyway, and importing numpy.random takes 0.1 s.
_Draw = Callable[[Generator, _Shape], Tensor]

# Where the first batches of a draw end: one sample, then two, then the rest.
SPLITS = (1, 3)
# Numbers in the inputs of one batch, that is 27 images of 3×224×224, so that a file of many samples fits into memory.
LARGEST_BATCH = 2**22
# If there are other shapes than the first, one sample in this many has one of them.
OTHER = 8


def between(low: float, high: float) -> _Draw:
    """Return a distribution that is uniform from ``low`` to ``high``."""
    return lambda rng, shape: low + (high - low) * torch.rand(shape, generator=rng, dtype=torch.float64)


def _decades(rng: Generator, shape: _Shape) -> Tensor:
    """Draw each sample from one decade, 1..10 up to 1e6..1e7."""
    decade = torch.randint(0, 7, (shape[0], *[1] * (len(shape) - 1)), generator=rng)
    return 10.0**decade * between(1.0, 10.0)(rng, shape)


def _zeros(rng: Generator, shape: _Shape) -> Tensor:
    """Draw 0..10 with 30 % exact zeros, some of them −0; the first sample and the first feature are all zeros."""
    x = between(0.0, 10.0)(rng, shape) * (between(0.0, 1.0)(rng, shape) >= 0.3)
    x[:1] = 0.0
    x.reshape(shape[0], -1)[:, :1] = 0.0
    return torch.where((x == 0) & (between(0.0, 1.0)(rng, shape) < 0.2), -0.0, x).index_fill(0, torch.tensor([0]), 0.0)


def _one_feature(rng: Generator, shape: _Shape) -> Tensor:
    """Draw one feature of any size, all others exactly 0 or exactly 1: sums of one term, whose bound is tightest."""
    rest = (torch.arange(shape[0]) % 2).double()
    x = rest.reshape(-1, *[1] * (len(shape) - 1)).expand(shape).clone().reshape(shape[0], -1)
    if x.numel():
        picks = torch.randint(0, x.shape[1], (shape[0], 1), generator=rng)
        x.scatter_(1, picks, _mixed(rng, (shape[0], 1)))
    return x.reshape(shape)


def _ones(rng: Generator, shape: _Shape) -> Tensor:
    """Draw exact ones and minus ones, the first sample all ones: log is 0 and cancellation is exact."""
    x = _signs(rng, shape)
    x[:1] = 1.0
    return x


def _mixed(rng: Generator, shape: _Shape) -> Tensor:
    """Draw both signs and magnitudes from 1e-7 to 1e7 within one sample."""
    return _signs(rng, shape) * 10.0 ** between(-7.0, 7.0)(rng, shape)


def _mixed_zeros(rng: Generator, shape: _Shape) -> Tensor:
    """Draw from :func:`_mixed` with 30 % exact zeros: ε beside numbers that are not small."""
    return torch.where(between(0.0, 1.0)(rng, shape) < 0.3, 0.0, _mixed(rng, shape))


def _tiny(rng: Generator, shape: _Shape) -> Tensor:
    """Draw both signs and magnitudes from 1e-38 to 1e-7, around ε and far below; every other sample in one decade."""
    signs, exponents = _signs(rng, shape), between(-38.0, -7.0)(rng, shape)
    if exponents.numel():
        decade = exponents.reshape(shape[0], -1)[::2, :1].floor().reshape(-1, *[1] * (len(shape) - 1))
        exponents[::2] = decade + exponents[::2].remainder(1.0)
    return signs * 10.0**exponents


def _subnormal(rng: Generator, shape: _Shape) -> Tensor:
    """Draw multiples of the smallest float32, subnormal and just above."""
    return _signs(rng, shape) * torch.randint(0, 2**24, shape, generator=rng) * 2.0**-149


def _signs(rng: Generator, shape: _Shape) -> Tensor:
    return torch.randint(0, 2, shape, generator=rng).double() * 2 - 1


DISTRIBUTIONS: dict[str, _Draw] = {
    "0.1..1": between(0.1, 1.0),
    "1..10": between(1.0, 10.0),
    "1e3..1e4": between(1e3, 1e4),
    "1..1e7": _decades,
    "-10..10": between(-10.0, 10.0),
    "zeros": _zeros,
    "ones": _ones,
    "mixed 1e±7": _mixed,
    "mixed, zeros": _mixed_zeros,
    "one feature": _one_feature,
    "tiny": _tiny,
    "subnormal": _subnormal,
}


@dataclass(frozen=True)
class Draw:
    """Samples ``x`` of the input distribution ``distribution``; ``at_once`` if they run as one batch."""

    distribution: str
    x: Batch
    at_once: bool = False

    @property
    def batches(self) -> list[Batch]:
        """The samples as a runtime gets them: batches of 1, 2 and the rest, which is split if it is large."""
        if self.at_once:
            return [self.x]
        rows = max(SPLITS[-1], LARGEST_BATCH * len(self.x) // max(1, self.x.numbers))
        return self.x.split([*SPLITS, *range(SPLITS[-1] + rows, len(self.x), rows)])


def draw(
    ports: Sequence[Port],
    sizes: Sequence[Sizes],
    samples: int,
    seed: int,
    ranges: Sequence[tuple[float, float]] = (),
) -> Iterator[Draw]:
    """Yield every input distribution over the first sizes, and over one of the other sizes in turn.

    Floats follow the distribution, each input independently. Integers within their range and truth values do not depend
    on it.

    Args:
        ports: the model's inputs.
        sizes: shapes of one sample of each input, several where axes are free.
        samples: samples of each input distribution.
        seed: the same seed gives the same inputs.
        ranges: more input distributions, uniform from the first to the second number.
    """
    more = {f"{low:g}..{high:g}": between(low, high) for low, high in ranges}
    for index, (distribution, values) in enumerate((DISTRIBUTIONS | more).items()):
        rng = Generator().manual_seed(seed * len(DISTRIBUTIONS) + index)
        others = sizes[1:]
        # A fault in one shape shows with any distribution; all distributions over all shapes take minutes for a CNN.
        rest = max(1, samples // OTHER) if others else 0
        yield Draw(distribution, drawn(ports, sizes[0], max(1, samples - rest), values, rng))
        if others:
            yield Draw(distribution, drawn(ports, others[index % len(others)], rest, values, rng))


def drawn(ports: Sequence[Port], sizes: Sizes, samples: int, values: _Draw, rng: Generator) -> Batch:
    """Draw a batch of every input."""
    longest = max((size for shape in sizes for size in shape), default=1)
    return Batch(
        tuple(
            _values(port, (samples, *shape), values, rng, longest).numpy()
            for port, shape in zip(ports, sizes, strict=True)
        )
    )


def _values(port: Port, shape: _Shape, values: _Draw, rng: Generator, longest: int) -> Tensor:
    if port.dtype.is_floating_point:
        return values(rng, shape).float()
    if port.dtype == torch.bool:
        return truths(rng, shape)
    return integers(rng, shape, port, longest).to(port.dtype)


def truths(rng: Generator, shape: _Shape) -> Tensor:
    """Draw truth values, each sample with its own share of true; one sample is all true, one all false."""
    share = torch.rand((shape[0], *[1] * (len(shape) - 1)), generator=rng)
    share[:1], share[1:2] = 2.0, -1.0
    return torch.rand(shape, generator=rng) < share


def integers(rng: Generator, shape: _Shape, port: Port, longest: int) -> Tensor:
    """Draw integers that an input accepts: small ones in half of the samples, and both ends of its range.

    Args:
        rng: the generator.
        shape: samples first.
        port: the input.
        longest: the longest axis of any input.
    """
    (low, high), (first, last) = port.range, port.small(longest)
    wide = torch.randint(low, high + 1, shape, generator=rng)
    small = torch.randint(first, last + 1, shape, generator=rng)
    alternate = (torch.arange(shape[0]) % 2 == 0).reshape(-1, *[1] * (len(shape) - 1))
    x = torch.where(alternate, small, wide)
    x[1:2], x[2:3] = low, high
    return x
