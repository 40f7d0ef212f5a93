"""A directed, seeded search for the input with the largest error/bound, starting at the worst inputs so far."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from nalu_export.graph.interface import Port
from nalu_export.parity.batch import Batch
from nalu_export.parity.inputs import DISTRIBUTIONS, between, drawn, integers

PARENTS = 16
# Values at which formulas change: log is 0, ε dominates, σ saturates in float32, exp leaves float32, 1e7.
LANDMARKS = (0.0, 1.0, -1.0, 1e-10, -1e-10, 16.7, -18.0, 88.5, -104.0, 1e7, -1e7)

Score = Callable[[Batch], NDArray[np.float64]]
_Change = Callable[[Tensor, Tensor, Generator], Tensor]


@dataclass(frozen=True)
class SearchOptions:
    """How long to search.

    Attributes:
        rounds: generations; 0 for no search.
        width: candidates of each generation.
        patience: generations over which the pace of the climb is measured. The search ends if, at that pace, it would
            not reach the bound in the remaining generations; ``None`` for a search that runs all of them.
    """

    rounds: int
    width: int
    patience: int | None = None


def climb(score: Score, ports: Sequence[Port], start: Batch, options: SearchOptions, seed: int) -> None:
    """Change the best inputs in each generation and keep those that score highest.

    Args:
        score: returns error/bound for each sample of a batch; it also records the worst samples.
        ports: the model's inputs.
        start: inputs to begin with, best first.
        options: how long to search.
        seed: the same seed gives the same search.
    """
    rng = Generator().manual_seed(seed)
    parents = start[slice(PARENTS)]
    best = torch.full((len(parents),), -1.0, dtype=torch.float64)
    heights: list[float] = []
    for generation in range(options.rounds):
        # Some parents are random: a far corner is not on an uphill path from the worst inputs so far.
        random_parents = drawn(ports, parents.shapes, max(1, PARENTS // 2), DISTRIBUTIONS["mixed, zeros"], rng)
        children = _children(ports, Batch.joined([parents, random_parents]), options.width, rng)
        if generation == 0:
            # The start inputs have no score yet; scoring them with the first generation keeps them as parents.
            first = min(len(parents), len(children))
            children = Batch.joined([parents[slice(first)], children[slice(first, None)]])
        ratios = torch.from_numpy(score(children))
        if bool(torch.isinf(ratios).any()):
            return  # there is no larger score
        pool, ratios = Batch.joined([parents, children]), torch.cat([best, ratios.double()])
        order = ratios.argsort(descending=True, stable=True)[:PARENTS]
        parents, best = pool[order.numpy()], ratios[order]
        heights.append(float(best[0]))
        if options.patience is not None and not _could_reach(heights, options.rounds, options.patience):
            return


def _could_reach(heights: list[float], rounds: int, patience: int) -> bool:
    """Return whether the climb may still reach the bound (ratio 1) at the pace of its last generations."""
    if len(heights) <= patience:
        return True
    now, before = heights[-1], heights[-1 - patience]
    if now >= 1.0 or before <= 0.0:
        return now > 0.0
    # In logarithms, because a large pace to a power would overflow float64.
    pace = (math.log(now) - math.log(before)) / patience
    return math.log(now) + pace * (rounds - len(heights)) >= 0.0


def _children(ports: Sequence[Port], parents: Batch, count: int, rng: Generator) -> Batch:
    """Return ``count`` changed copies of random parents; a change treats the numbers of all inputs as one vector."""
    picks = torch.randint(0, len(parents), (count,), generator=rng)
    kinds = torch.randint(0, len(_CHANGES), (count,), generator=rng)
    partners = torch.randint(0, len(parents), (count,), generator=rng)
    own, other = parents[picks.numpy()].tensors(), parents[partners.numpy()].tensors()
    floats = [place for place, port in enumerate(ports) if port.dtype.is_floating_point]
    if floats:
        changed = _numbers([own[k] for k in floats], [other[k] for k in floats], kinds, rng)
        for place, x in zip(floats, changed, strict=True):
            own[place] = x
    for place, port in enumerate(ports):
        if place not in floats:
            own[place] = _other_values(port, own[place], other[place], rng)
    return Batch(tuple(x.numpy() for x in own))


def _numbers(own: list[Tensor], other: list[Tensor], kinds: Tensor, rng: Generator) -> list[Tensor]:
    """Change the floats of each sample by one of :data:`_CHANGES`, all inputs side by side, and split them again."""
    widths = [x[0].numel() for x in own]
    children, others = (torch.cat([x.double().reshape(len(x), -1) for x in parts], dim=1) for parts in (own, other))
    for kind, change in enumerate(_CHANGES):
        chosen = kinds == kind
        if bool(chosen.any()) and children.shape[1]:
            children[chosen] = change(children[chosen], others[chosen], rng)
    limit = torch.finfo(torch.float32).max
    parts = torch.split(children.clamp(-limit, limit).float(), widths, dim=1)
    return [part.reshape(x.shape) for part, x in zip(parts, own, strict=True)]


def _other_values(port: Port, own: Tensor, other: Tensor, rng: Generator) -> Tensor:
    """Return integers and truth values: most are kept, some come from another parent, some are new."""
    dice = torch.rand(own.shape, generator=rng)
    if port.dtype == torch.bool:
        new = torch.rand(own.shape, generator=rng) < 0.5
    else:
        new = integers(rng, tuple(own.shape), port, max(own.shape)).to(port.dtype)
    return torch.where(dice < 0.8, own, torch.where(dice < 0.9, other, new))


def _coordinate(x: Tensor, rng: Generator) -> Tensor:
    """Return a mask with one random coordinate of each sample."""
    mask = torch.zeros(x.shape, dtype=torch.bool)
    return mask.scatter_(1, torch.randint(0, x.shape[1], (len(x), 1), generator=rng), True)


def _scale_one(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    return torch.where(_coordinate(x, rng), x * 10.0 ** between(-2, 2)(rng, (len(x), 1)), x)


def _scale_all(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    return x * 10.0 ** between(-1, 1)(rng, (len(x), 1))


def _nudge(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    """Change every coordinate by a few float32 steps."""
    return x * (1.0 + torch.randint(-8, 9, x.shape, generator=rng) * 2.0**-23)


def _landmark(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    picks = torch.randint(0, len(LANDMARKS), (len(x), 1), generator=rng)
    return torch.where(_coordinate(x, rng), torch.tensor(LANDMARKS, dtype=torch.float64)[picks], x)


def _flip(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    return torch.where(_coordinate(x, rng), -x, x)


def _alone(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    """Set all coordinates but one to exactly 0, or to exactly 1."""
    rest = torch.randint(0, 2, (len(x), 1), generator=rng).double()
    return torch.where(_coordinate(x, rng), x, rest)


def _equal(x: Tensor, _: Tensor, rng: Generator) -> Tensor:
    """Copy one coordinate onto another."""
    picks = torch.randint(0, x.shape[1], (len(x), 1), generator=rng)
    return torch.where(_coordinate(x, rng), x.gather(1, picks), x)


def _cross(x: Tensor, other: Tensor, rng: Generator) -> Tensor:
    return torch.where(torch.rand(x.shape, generator=rng) < 0.5, x, other)


_CHANGES: tuple[_Change, ...] = (_scale_one, _scale_all, _nudge, _landmark, _flip, _alone, _equal, _cross)
