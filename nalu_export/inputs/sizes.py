"""Other sizes of the free axes of a model, on which it runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from nalu_export.graph import ModelGraph
from nalu_export.graph.evaluation import results_of
from nalu_export.graph.interface import Sizes
from nalu_export.inputs.example import IMAGE_AXES

# Numbers by which an axis is made longer to find out which sizes a model takes.
MAX_STEP = 32
# Share of a result by which a graph at another size may be off in float32; a wrong one is off by much more.
SAME = 1e-3
# Why an axis is fixed.
NO_OTHER_SIZE = "the model runs at no other size"
ONE_SIZE = "forward has a loop over it, or a shape of its size, which is captured for that size alone"


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
    try:
        with torch.no_grad():
            graph.called(graph.module)(*sample(graph, sizes))
    except (Exception, SystemExit):  # noqa: BLE001  forward is anybody's code: it raises anything
        return False
    return True


def sample(graph: ModelGraph, sizes: Sizes) -> list[Tensor]:
    """A few samples of these shapes, with values that the model takes; more where integers may hide what happens."""
    rng = torch.Generator().manual_seed(0)
    count = 2 if all(port.dtype.is_floating_point for port in graph.interface.inputs) else 16
    found = []
    for port, shape, like in zip(graph.interface.inputs, sizes, graph.example, strict=True):
        if like.is_floating_point():
            x = torch.rand((count, *shape), generator=rng) + 0.5
        elif like.dtype == torch.bool:
            x = torch.rand((count, *shape), generator=rng) < 0.5
        else:
            low, high = port.small()
            x = torch.randint(low, high + 1, (count, *shape), generator=rng)
        found.append(x.to(like.dtype))
    return found


def sweep(graph: ModelGraph, step: Mapping[str, int] | None = None) -> list[Sizes]:
    """The sizes that were captured first, then smaller, larger, odd and unequal ones on which the model itself runs.

    Args:
        graph: the model.
        step: by how much each of the axes that change may be longer, see :func:`steps`; by default of all free ones.
    """
    base = base_of(graph)
    step = steps(graph, list(base)) if step is None else step
    names = list(step)
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


def with_captured_axes(graph: ModelGraph) -> tuple[ModelGraph, tuple[str, ...]]:
    """The model with those free axes fixed that cannot be: it takes no other size, or its captured graph does not.

    A loop of ``forward`` over an axis is unrolled where it is captured, and a size that becomes a Python number is
    that number from there on.

    Returns:
        The model, and what to say of axes that are fixed.
    """
    base, axes = base_of(graph), graph.interface.free
    why = {name: reason for name in axes if (reason := _stuck(graph, name))}
    images = set(IMAGE_AXES.values())
    if images <= {name for name, reason in why.items() if reason == NO_OTHER_SIZE}:
        # Images of one size: whoever exports what surrounds the arithmetic finds that out, or the sweep does.
        why = {name: reason for name, reason in why.items() if name not in images}
    said = {name: reason for name, reason in why.items() if name not in images or reason == NO_OTHER_SIZE}
    notes = tuple(f"{name} is fixed at {base[name]}: {reason}" for name, reason in said.items())
    return graph.with_fixed(list(why)), notes


def _stuck(graph: ModelGraph, name: str) -> str:
    """Why an axis cannot be free; empty where the captured graph is right at the next size that the model takes."""
    size = base_of(graph)[name]
    for more in (*range(1, MAX_STEP + 1), *range(-1, -min(size, MAX_STEP), -1)):
        tensors = sample(graph, with_axes(graph, {name: size + more}))
        try:
            with torch.no_grad():
                expected = graph.called(graph.module)(*tensors)
        except (Exception, SystemExit):  # noqa: BLE001  forward is anybody's code; it may take multiples only
            continue
        try:
            found = results_of(graph.flat, *tensors)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return ONE_SIZE
        same = all(a.shape == b.shape and bool(_near(a, b).all()) for a, b in zip(found, expected, strict=True))
        return "" if same else ONE_SIZE
    return NO_OTHER_SIZE


def _near(a: Tensor, b: Tensor) -> Tensor:
    """Where two results agree to what float32 may lose; that every digit agrees is for the check."""
    a, b = a.double(), b.double()
    return ((a - b).abs() <= SAME * (a.abs() + b.abs()) + SAME) | ~b.isfinite() | ~a.isfinite()


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


def constraint(graph: ModelGraph, step: Mapping[str, int]) -> str:
    """What the sizes of free axes have to be, where the model does not take all; else empty.

    Args:
        graph: the model.
        step: by how much each of them may be longer, see :func:`steps`.
    """
    if all(by == 1 for by in step.values()):
        return ""
    return " and ".join(_said(graph, name, by) for name, by in step.items())


def _said(graph: ModelGraph, name: str, step: int) -> str:
    size = base_of(graph)[name]
    if step == 1:
        return f"any {name}"
    if not step:
        shorter = runs_with(graph, with_axes(graph, {name: max(1, size - 1)}))
        return f"{name} up to {size}" if shorter and size > 1 else f"{name} {size}"
    return f"{name} a multiple of {step}" if size % step == 0 else f"{name} {size} plus a multiple of {step}"
