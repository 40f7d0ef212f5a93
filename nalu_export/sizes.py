"""Other sizes of the free axes of a model, on which it runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch

from nalu_export.graph import ModelGraph
from nalu_export.graph.interface import Port, Sizes

# Numbers by which an axis is made longer to find out which sizes a model takes.
MAX_STEP = 32


def base_of(graph: ModelGraph) -> dict[str, int]:
    """The size of each free axis with which a model was captured."""
    return read_axes(graph, graph.sizes)


def read_axes(graph: ModelGraph, sizes: Sizes) -> dict[str, int]:
    """The size of each free axis in these shapes."""
    ports = graph.interface.inputs
    return {name: shape[axis - 1] for port, shape in zip(ports, sizes, strict=True) for axis, name in port.free.items()}


def with_axes(graph: ModelGraph, axes: Mapping[str, int]) -> Sizes:
    """Shapes of one sample of each input with other sizes of some free axes."""
    return tuple(
        tuple(axes.get(port.free.get(axis, ""), size) for axis, size in enumerate(shape, 1))
        for port, shape in zip(graph.interface.inputs, graph.sizes, strict=True)
    )


def runs_with(graph: ModelGraph, sizes: Sizes) -> bool:
    """Whether the model takes samples of these shapes."""
    tensors = [
        torch.full((2, *shape), _least(port), dtype=x.dtype)
        for port, shape, x in zip(graph.interface.inputs, sizes, graph.example, strict=True)
    ]
    try:
        with torch.no_grad():
            graph.called(graph.module)(*tensors)
    except (Exception, SystemExit):  # noqa: BLE001  forward is anybody's code: it raises anything
        return False
    return True


def _least(port: Port) -> int:
    """A value that an input takes."""
    low, high = port.range
    return 0 if port.dtype.is_floating_point or low <= 0 <= high else low


def sweep(graph: ModelGraph, free: Sequence[str] | None = None) -> list[Sizes]:
    """The sizes that were captured first, then smaller, larger, odd and unequal ones on which the model itself runs.

    Args:
        graph: the model.
        free: the axes that change; by default all that are free.
    """
    base = base_of(graph)
    names = list(base) if free is None else list(free)
    step = steps(graph, names)
    found = [graph.sizes]
    for changed in _changes(names, base, step):
        sizes = with_axes(graph, changed)
        if sizes not in found and runs_with(graph, sizes):
            found.append(sizes)
    return found


def _changes(names: Sequence[str], base: Mapping[str, int], step: Mapping[str, int]) -> list[dict[str, int]]:
    """Every second axis goes another way than the first, so that their sizes differ in each."""

    def sized(even: Callable[[int, int], int], odd: Callable[[int, int], int]) -> dict[str, int]:
        pick = (even, odd)
        return {name: max(1, pick[place % 2](base[name], step[name])) for place, name in enumerate(names)}

    return [
        sized(lambda n, _: n + 1, lambda n, _: n + 3),
        sized(lambda n, by: n + by, lambda n, by: n + 3 * by),
        sized(lambda n, _: 2 * n, lambda n, _: n),
        sized(lambda n, _: n, lambda n, _: 2 * n + 1),
        sized(lambda n, _: n, lambda n, by: 2 * n + by),
        sized(lambda n, _: n // 2, lambda n, _: 2 * n // 3),
    ]


def steps(graph: ModelGraph, names: Sequence[str]) -> dict[str, int]:
    """By how much each axis may be longer: 1 for any size, 8 for multiples of 8.

    0 where no longer one up to :data:`MAX_STEP` is taken.
    """
    base = base_of(graph)

    def step(name: str) -> int:
        return _step(lambda more: runs_with(graph, with_axes(graph, {name: base[name] + more})))

    return {name: step(name) for name in names}


def _step(taken: Callable[[int], bool]) -> int:
    """The smallest step whose multiples are all taken; 1 is tried at powers of two, where pooling rounds down.

    One row more often goes unnoticed: pooled by 2, 17 rows are 8, as 16 are.
    """
    found = cache(taken)
    if all(found(2**power) for power in range(MAX_STEP.bit_length())):
        return 1
    wider = range(2, MAX_STEP + 1)
    return next((step for step in wider if all(found(more) for more in range(step, MAX_STEP + 1, step))), 0)


def constraint(graph: ModelGraph, names: Sequence[str]) -> str:
    """What the sizes of free axes have to be, where the model does not take all; else empty."""
    base, found = base_of(graph), steps(graph, names)
    if all(step == 1 for step in found.values()):
        return ""
    return " and ".join(_said(name, base[name], found[name]) for name in names)


def _said(name: str, size: int, step: int) -> str:
    if step <= 1:
        return f"any {name}" if step else f"{name} {size}"
    return f"{name} a multiple of {step}" if size % step == 0 else f"{name} {size} plus a multiple of {step}"
