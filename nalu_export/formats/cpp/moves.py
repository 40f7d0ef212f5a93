"""Index maps of primitives that only move the numbers of a sample, and nested loops that follow index maps."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

Index = NDArray[np.int64]
Shape = tuple[int, ...]


def moved(node: fx.Node, shapes: dict[fx.Node, Shape], samples: int) -> Index | None:
    """Find where each number of a result comes from.

    The primitive is run on the numbers 0, 1, 2 …, so no format has to repeat what the primitive does.

    Args:
        node: call of a primitive that only moves numbers. All its arguments depend on the input.
        shapes: shapes of its arguments, without the axis of the samples.
        samples: number of samples to run it with.

    Returns:
        For each number of one sample of the result its place in the arguments, which are counted one after the other;
        ``None`` if the primitive does not treat all samples alike.
    """
    sizes = {argument: int(np.prod(shapes[argument], dtype=np.int64)) for argument in node.all_input_nodes}
    total, start = sum(sizes.values()), 0
    places: dict[fx.Node, torch.Tensor] = {}
    for argument, size in sizes.items():
        own = torch.arange(start, start + size).reshape(1, *shapes[argument])
        each = torch.arange(samples).reshape(samples, *(1 for _ in shapes[argument]))
        places[argument] = own + each * total
        start += size
    assert callable(node.target)
    result: torch.Tensor = node.target(*fx.node.map_arg(node.args, places.__getitem__))
    if result.shape[:1] != (samples,):
        return None
    found: Index = result.numpy()
    alike = all(np.array_equal(found[sample], found[0] + sample * total) for sample in range(samples))
    return found[0] if alike else None


def is_run(index: Index) -> bool:
    """Return whether the places are consecutive."""
    flat = index.ravel()
    return bool(np.array_equal(flat, np.arange(flat[0], flat[0] + flat.size)))


class Loop(NamedTuple):
    """One of several nested loops.

    Attributes:
        size: number of iterations.
        steps: distance by which the place in each map advances per iteration.
    """

    size: int
    steps: tuple[int, ...]


def loops(*maps: Index) -> list[Loop] | None:
    """Find nested loops that go through several maps in parallel.

    Args:
        maps: places, the same number in each map. The loops count from the first place of each map.

    Returns:
        As few loops as possible, the innermost last; ``None`` if no nested loops produce these places.
    """
    found: list[Loop] = []
    rows = np.stack([index.ravel() for index in maps])
    while (count := rows.shape[1]) > 1:
        steps = np.diff(rows)
        as_before = (steps == steps[:, :1]).all(axis=0)
        size = count if as_before.all() else int(np.argmin(as_before)) + 1
        if count % size:
            return None
        blocks = rows.reshape(len(maps), count // size, size)
        if not np.array_equal(
            blocks - blocks[:, :, :1], np.broadcast_to(blocks[:, :1] - blocks[:, :1, :1], blocks.shape)
        ):
            return None
        found.append(Loop(size, tuple(int(step) for step in steps[:, 0])))
        rows = blocks[:, :, 0]
    return found[::-1]


def row_major(shape: Shape) -> Any:
    """Return the places of the numbers of an array in row-major order."""
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
