"""Other sizes of a model's free axes, on which the model runs."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from nalu_export.graph import ModelGraph
from nalu_export.graph.evaluation import results_of
from nalu_export.graph.interface import MAX_STEP, Sizes
from nalu_export.inputs.example import IMAGE_AXES

# Relative float32 error that is allowed to a graph at another size; a wrong graph is off by much more.
SAME = 1e-3
# Reasons why an axis is fixed.
NO_OTHER_SIZE = "the model does not run at another size"
ONE_SIZE = "forward loops over it or uses its size as a number, and the graph is captured for this size only"


def base_of(graph: ModelGraph) -> dict[str, int]:
    """Return the size of each free axis in the capture of a model."""
    return read_axes(graph, graph.sizes)


def read_axes(graph: ModelGraph, sizes: Sizes) -> dict[str, int]:
    """Return the size of each free axis in these shapes."""
    ports = graph.interface.inputs
    return {name: shape[axis - 1] for port, shape in zip(ports, sizes, strict=True) for axis, name in port.free.items()}


def with_axes(graph: ModelGraph, axes: Mapping[str, int]) -> Sizes:
    """Return the shapes of one sample of each input with other sizes of some free axes."""
    return tuple(
        tuple(axes.get(port.free.get(axis, ""), size) for axis, size in enumerate(shape, 1))
        for port, shape in zip(graph.interface.inputs, graph.sizes, strict=True)
    )


def runs_with(graph: ModelGraph, sizes: Sizes) -> bool:
    """Return whether the model takes samples of these shapes."""
    try:
        with torch.no_grad():
            graph.called(graph.module)(*sample(graph, sizes))
    except (Exception, SystemExit):  # noqa: BLE001  forward is the user's code and may raise anything
        return False
    return True


def sample(graph: ModelGraph, sizes: Sizes) -> list[Tensor]:
    """Return samples of these shapes that the model takes: 2, or 16 if integers or truth values may hide a fault."""
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
    """Return the captured sizes, then smaller, larger, odd and unequal sizes on which the model itself runs.

    Args:
        graph: the model.
        step: by how much each axis that changes may grow, see :func:`steps`; by default those of all free axes.
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
    """Return changed sizes; axes at odd positions change differently from the others, so that sizes are unequal."""

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
    """Fix the free axes that cannot be free: the model takes no other size, or its captured graph does not.

    A loop of ``forward`` over an axis is unrolled in the capture. A size that becomes a Python number is a constant
    from there on.

    Returns:
        The model, and notes about axes that are fixed.
    """
    base, axes = base_of(graph), graph.interface.free
    why = {name: reason for name in axes if (reason := _why_fixed(graph, name))}
    images = set(IMAGE_AXES.values())
    if images <= {name for name, reason in why.items() if reason == NO_OTHER_SIZE}:
        # Images of one size: the export of what surrounds the arithmetic reports it, or the sweep over sizes does.
        why = {name: reason for name, reason in why.items() if name not in images}
    said = {name: reason for name, reason in why.items() if name not in images or reason == NO_OTHER_SIZE}
    notes = tuple(f"{name} is fixed at {base[name]}: {reason}" for name, reason in said.items())
    return graph.with_fixed(list(why)), notes


def _why_fixed(graph: ModelGraph, name: str) -> str:
    """Return why an axis cannot be free; empty if the captured graph is right at the next size that the model takes."""
    size = base_of(graph)[name]
    for more in (*range(1, MAX_STEP + 1), *range(-1, -min(size, MAX_STEP), -1)):
        tensors = sample(graph, with_axes(graph, {name: size + more}))
        try:
            with torch.no_grad():
                expected = graph.called(graph.module)(*tensors)
        except (Exception, SystemExit):  # noqa: BLE001  the user's code may accept multiples only
            continue
        try:
            found = results_of(graph.flat, *tensors)
        except (RuntimeError, ValueError, IndexError, TypeError):
            return ONE_SIZE
        same = all(a.shape == b.shape and bool(_near(a, b).all()) for a, b in zip(found, expected, strict=True))
        return "" if same else ONE_SIZE
    return NO_OTHER_SIZE


def _near(a: Tensor, b: Tensor) -> Tensor:
    """Where ``a`` agrees with ``b`` to what float32 may lose, or ``b`` is no number that could be compared.

    The parity check compares every digit.
    """
    a, b = a.double(), b.double()
    return ((a - b).abs() <= SAME * (a.abs() + b.abs()) + SAME) | ~b.isfinite()


def steps(graph: ModelGraph, names: Sequence[str]) -> dict[str, int]:
    """Return by how much each axis may be longer: 1 for any size, 8 for multiples of 8.

    It is 0 if no longer size up to :data:`MAX_STEP` more is taken.
    """
    base = base_of(graph)

    def step(name: str) -> int:
        return _step(lambda more: runs_with(graph, with_axes(graph, {name: base[name] + more})))

    return {name: step(name) for name in names}


def _step(taken: Callable[[int], bool]) -> int:
    """Return the smallest step whose multiples are all taken; step 1 is tried at powers of two.

    One more row proves little, because pooling rounds down: pooled by 2, 17 rows are 8, as 16 are.
    """
    found = cache(taken)
    if all(found(2**power) for power in range(MAX_STEP.bit_length())):
        return 1
    wider = range(2, MAX_STEP + 1)
    return next((step for step in wider if all(found(more) for more in range(step, MAX_STEP + 1, step))), 0)


def constraint(graph: ModelGraph, step: Mapping[str, int]) -> str:
    """Return which sizes of the free axes the model takes, in words; empty if it takes all.

    Args:
        graph: the model.
        step: by how much each of these axes may grow, see :func:`steps`.
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
