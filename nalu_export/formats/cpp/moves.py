"""Where the numbers of a sample go when a primitive moves them: index maps, and loops that follow one."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

Index = NDArray[np.int64]
Shape = tuple[int, ...]


def moved(node: fx.Node, shapes: dict[fx.Node, Shape], samples: int) -> Index | None:
    """For each number of a sample of the result its place in the arguments, which are counted one after the other.

    The primitive itself moves the numbers 0, 1, 2 …, so no format repeats what it does.

    Args:
        node: of a primitive that computes nothing, whose arguments all depend on the input.
        shapes: of its arguments, without the samples.
        samples: how many to try it with.

    Returns:
        The places in the shape of one sample; ``None`` where the primitive does not treat every sample alike.
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
    """Whether the places come one after the other."""
    flat = index.ravel()
    return bool(np.array_equal(flat, np.arange(flat[0], flat[0] + flat.size)))


class Loop(NamedTuple):
    """One of nested loops.

    Attributes:
        size: how often it runs.
        steps: what each of the maps advances with it.
    """

    size: int
    steps: tuple[int, ...]


def loops(*maps: Index) -> list[Loop] | None:
    """Nested loops, the innermost last, that go through several maps at once.

    Args:
        maps: places, as many in each; those of loops are relative to the first.

    Returns:
        As few loops as there can be; ``None`` where the places follow no loops.
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
    """The places of numbers that stand in the order of their axes."""
    return np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
