"""The integers that a model takes, found by running it: an embedding or an index has no declared range."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nalu_export.graph.example import Example
from nalu_export.graph.interface import ANY_INTEGER, Called

# Integers that are tried first if the user gives no example.
STARTS = (1, 0, 2)
# Random draws on which a model has to run.
TRIES = 8


def is_integer(tensor: Tensor) -> bool:
    """Return whether a tensor holds integers; truth values do not count."""
    return not tensor.is_floating_point() and tensor.dtype != torch.bool


def runs(model: nn.Module, example: Example, tensors: Sequence[Tensor]) -> bool:
    """Return whether a model runs on these tensors in place of those of an example."""
    try:
        with torch.no_grad():
            Called(model, example.arguments)(*tensors)
    except (Exception, SystemExit):  # noqa: BLE001  forward is the user's code and may raise anything
        return False
    return True


def with_ranges(model: nn.Module, example: Example, *, told: bool) -> tuple[Example, tuple[str, ...]]:
    """Return an example with integers from the range that the model takes, and notes about that range.

    Args:
        model: the model of the example.
        example: any example call.
        told: whether its integers come from the user.
    """
    places = [place for place, x in enumerate(example.tensors) if is_integer(x)]
    if not places:
        return example, ()
    if not told:
        example = _started(model, example, places)
    if not runs(model, example, example.tensors):
        return example, ()  # the capture will report why it does not run
    found = list(example.inputs)
    for place in places:
        found[place] = replace(found[place], range=_range(model, example, place))
    ranged = replace(example, inputs=tuple(found))
    if all(runs(model, ranged, _drawn(ranged, places, seed)) for seed in range(TRIES)):
        return replace(ranged, tensors=tuple(_drawn(ranged, places, 0))), ()
    if not told:
        return ranged, ()
    for place in places:
        x = example.tensors[place]
        found[place] = replace(found[place], range=(int(x.min()), int(x.max())))
    names = ", ".join(f"{found[place].name} {found[place].range[0]} to {found[place].range[1]}" for place in places)
    return replace(example, inputs=tuple(found)), (f"integers are drawn from the range of the example: {names}",)


def _started(model: nn.Module, example: Example, places: Sequence[int]) -> Example:
    """Return the example with the first integers on which the model runs."""
    for values in itertools.product(STARTS, repeat=min(len(places), 3)):
        tensors = list(example.tensors)
        for place, value in itertools.zip_longest(places, values, fillvalue=values[-1]):
            tensors[place] = torch.full_like(tensors[place], value)
        if runs(model, example, tensors):
            return replace(example, tensors=tuple(tensors))
    return example


def _range(model: nn.Module, example: Example, place: int) -> tuple[int, int]:
    """Return the smallest and the largest integer with which an input can be filled."""
    x = example.tensors[place]

    def taken(value: int) -> bool:
        tensors = list(example.tensors)
        tensors[place] = torch.full_like(x, value)
        return runs(model, example, tensors)

    limits = torch.iinfo(x.dtype)
    start = next((value for value in (int(x.max()), int(x.min())) if taken(value)), int(x.max()))
    low = -_edge(lambda value: taken(-value), -start, -max(ANY_INTEGER[0], limits.min))
    return low, _edge(taken, start, min(ANY_INTEGER[1], limits.max))


def _edge(taken: Callable[[int], bool], good: int, limit: int) -> int:
    """Return the largest accepted integer, searched upwards from ``good`` by doubling and bisection."""
    if good >= limit or taken(limit):
        return max(good, limit)
    step, bad = 1, limit
    while good + step < bad:
        if not taken(good + step):
            bad = good + step
            break
        good, step = good + step, 2 * step
    while bad - good > 1:
        middle = (good + bad) // 2
        if taken(middle):
            good = middle
        else:
            bad = middle
    return good


def _drawn(example: Example, places: Sequence[int], seed: int) -> list[Tensor]:
    """Return the example's tensors with random integers: from the whole known range for odd seeds, else small."""
    rng = torch.Generator().manual_seed(seed)
    tensors = list(example.tensors)
    for place in places:
        port = example.inputs[place]
        first, last = port.range if seed % 2 and port.range != ANY_INTEGER else port.small()
        drawn = torch.randint(first, last + 1, tensors[place].shape, generator=rng)
        tensors[place] = drawn.to(tensors[place].dtype)
    return tensors
