"""Findings about gates: what they choose on training-like inputs and on 1000 times those inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nalu_export.doctor.findings.base import Finder, Finding, in_each_head
from nalu_export.doctor.running import BEYOND, Runs, span
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.statistics import NEAR, nearest
from nalu_export.doctor.subject import Cell, Head
from nalu_export.graph.evaluation import Values
from nalu_export.graph.reading import Gate

# With a slope below the roundoff of float32 a gate does not train any more: |z| is at least 16.6.
DEAD = 2.0**-24
# A gate is on a side if it is on that side for at least this share of the inputs.
MOST = 0.9
_SIDES = ("the sum", "the product", "neither", "sum or product by input", "a mixture of both")
_SUM, _PRODUCT, _NEITHER, _BY_INPUT, _UNDECIDED = range(len(_SIDES))


@dataclass(frozen=True)
class Gates:
    """What the gates of a layer choose.

    Attributes:
        near: the side of each gate on training-like inputs.
        far: the same on 1000 times those inputs; equal to ``near`` where no gate value is finite there.
        dead: whether training can no longer change the gate.
        low: smallest gate value of the sum over all inputs, for each gate.
        high: largest gate value of the sum.
    """

    near: list[int]
    far: list[int]
    dead: list[bool]
    low: list[float]
    high: list[float]


def _find(head: Head, runs: Runs | None, settings: Settings) -> Iterator[Finding]:
    """Yield what the gates of each layer choose; as a warning if the choice does not hold on large inputs."""
    if runs is None:
        return
    for cell in head.cells:
        told = [gate for gate in cell.layer.gates if gate.sum is not None and gate.product is not None]
        for number, gate in enumerate(told):
            judged = judge(gate, runs.near.values, runs.far.values)
            if judged is not None:
                settled = _settled(head, cell)
                yield from _findings(_place(cell, told, number), judged, settings, settled=settled)


def _place(cell: Cell, gates: Sequence[Gate], number: int) -> str:
    """Return the layer's name, with the gate's number if the layer has several."""
    return cell.where if len(gates) == 1 else f"{cell.where}, gate {number + 1}"


def judge(gate: Gate, near: Values, far: Values) -> Gates | None:
    """Judge a gate on the inputs that reach it; ``None`` if one of its values is not finite.

    Args:
        gate: a gate with a sum and a product.
        near: values of its graph on training-like inputs.
        far: values on 1000 times those inputs.
    """
    g, h = _shares(gate, near)
    wide = _shares(gate, far)
    if not bool((g.isfinite() & h.isfinite()).all()):
        return None
    # σ′(z) = σ(z)·σ(−z). h is σ(−z), or a second gate with parameters of its own, which has its own slope h·(1 − h).
    slopes = [share * (1 - share) if gate.two else g * h for share in (g, h)]
    dead = torch.stack([(slope < DEAD).all(dim=0) for slope in slopes]).all(dim=0)
    return Gates(
        (sides := _sides(g, h)),
        [beyond if beyond is not None else side for beyond, side in zip(_finite_sides(*wide), sides, strict=True)],
        # A hard condition has no slope by design.
        dead.tolist() if not gate.hard else [False] * len(sides),
        g.amin(dim=0).tolist(),
        g.amax(dim=0).tolist(),
    )


def _shares(gate: Gate, values: Values) -> tuple[Tensor, Tensor]:
    """Return the gate values of the sum and of the product, ``(samples, gates)``; one gate if all outputs share it."""
    assert gate.sum is not None
    assert gate.product is not None
    shares = [share.of(values[share.node]) for share in (gate.sum, gate.product)]
    # A constant gate is the same for each sample, and may be a single number.
    both = shares[0] + shares[1]
    shape = (*[1] * (2 - both.ndim), *both.shape)
    g, h = (share.expand(shape).reshape(-1, shape[-1]) for share in shares)
    return g, h


def _masks(g: Tensor, h: Tensor) -> Tensor:
    """Return which of the first three sides each sample is on: ``(sides, samples, gates)``."""
    open_g, open_h, shut_g, shut_h = g >= 1 - NEAR, h >= 1 - NEAR, g <= NEAR, h <= NEAR
    return torch.stack([open_g & shut_h, open_h & shut_g, shut_g & shut_h])


def _sides(g: Tensor, h: Tensor) -> list[int]:
    """Return the side of each gate: that of 90 % of the samples, else by input if 90 % are on some side, else none."""
    shares = _masks(g, h).double().mean(dim=1)
    return [_side(column) for column in shares.unbind(dim=1)]


def _side(shares: Tensor) -> int:
    if float(shares.max()) >= MOST:
        return int(shares.argmax())
    return _BY_INPUT if float(shares.sum()) >= MOST else _UNDECIDED


def _finite_sides(g: Tensor, h: Tensor) -> list[int | None]:
    """Return the side of each gate over the samples with finite gate values; ``None`` if there are none."""
    return [
        _sides(g[kept, column, None], h[kept, column, None])[0] if bool(kept.any()) else None
        for column, kept in enumerate((g.isfinite() & h.isfinite()).unbind(dim=1))
    ]


def _findings(where: str, gates: Gates, settings: Settings, *, settled: bool) -> Iterator[Finding]:
    near, far = span(settings.training_range), span(settings.training_range, BEYOND)
    undecided = [unit for unit, side in enumerate(gates.near) if side == _UNDECIDED]
    closed = [unit for unit, side in enumerate(gates.near) if side == _NEITHER]
    flipped = [
        unit
        for unit, (before, after) in enumerate(zip(gates.near, gates.far, strict=True))
        if before in (_SUM, _PRODUCT, _BY_INPUT) and before != after
    ]
    dead = [unit for unit, is_dead in enumerate(gates.dead) if is_dead]
    total = len(gates.near)
    if undecided:
        yield _undecided(where, gates, undecided, settings)
    if flipped:
        moves = dict.fromkeys((gates.near[unit], gates.far[unit]) for unit in flipped)
        told = " or ".join(f"{_SIDES[before]} on {near} and {_SIDES[after]} on {far}" for before, after in moves)
        yield Finding(
            "warning",
            "gate-flips",
            where,
            f"{_some(flipped, total)} {_verb(flipped, 'chooses', 'choose')} {told}.",
            "Outside the training range the layer computes another operation.",
            "Train with inputs of both ranges, or with a gate that does not depend on the size of its input.",
        )
    if closed:
        yield Finding(
            "warning",
            "gate-closed",
            where,
            f"{_some(closed, total)} {_verb(closed, 'closes', 'close')} both the sum and the product on "
            f"inputs of {near}.",
            "The output is near 0 for every input.",
            "Train from another seed, or with one gate instead of two.",
        )
    if dead and not settled:
        yield Finding(
            "warning",
            "gate-dead",
            where,
            f"{_some(dead, total)} {_verb(dead, 'is', 'are')} saturated on all inputs of {near}, with a slope below "
            "2⁻²⁴, while weights of the layer are still far from −1, 0 and 1.",
            "Further training cannot change the choice of the gate, even if it is wrong. Only the "
            "weights still change.",
            "If the loss does not fall, reset the gate's parameters to small values and train again.",
        )
    elif not (undecided or flipped or closed):
        yield _chosen(where, gates, dead, settings)


def _undecided(where: str, gates: Gates, units: list[int], settings: Settings) -> Finding:
    near, far = span(settings.training_range), span(settings.training_range, BEYOND)
    low, high = min(gates.low[unit] for unit in units), max(gates.high[unit] for unit in units)
    return Finding(
        "warning",
        "gate-undecided",
        where,
        f"{_not_one(units, len(gates.near))} chosen the sum or the product on inputs of {near} "
        f"(σ is {low:.2g} to {high:.2g}). On {far}, {_tally([gates.far[unit] for unit in units])}.",
        "The output is a mixture of sum and product. The shares are different outside the training range.",
        "Train longer, from another seed, or with a penalty on σ(1 − σ).",
    )


def _chosen(where: str, gates: Gates, dead: list[int], settings: Settings) -> Finding:
    near, far = span(settings.training_range), span(settings.training_range, BEYOND)
    hard = (
        f" {_some(dead, len(gates.near))} {_verb(dead, 'has', 'have')} a slope below 2⁻²⁴ on all inputs."
        if dead
        else ""
    )
    return Finding(
        "info",
        "gate-chosen",
        where,
        f"On inputs of {near} and of {far}, {_tally(gates.near)}.{hard}",
        "A trained gate looks like this" + ("; further training will not change it." if dead else "."),
        "Nothing to do if this is the operation that the task needs.",
    )


def _settled(head: Head, cell: Cell) -> bool:
    """Return whether the weights of a layer, and of layers inside it, are near −1, 0 and 1."""
    within = f"{cell.layer.path}." if cell.layer.path else ""
    cells = [other for other in head.cells if other is cell or other.layer.path.startswith(within)]
    values = [weight.value(other.form) for other in cells for weight in other.layer.weights]
    return all(bool(((value - nearest(value)).abs() <= NEAR).all()) for value in values)


def _some(units: list[int], total: int) -> str:
    """Return ``"2 of 8 gates (1, 5)"``."""
    if total == 1:
        return "The gate"
    if len(units) == total:
        return "Both gates" if total == 2 else f"All {total} gates"
    shown = ", ".join(map(str, units[:8])) + (", …" if len(units) > 8 else "")
    return f"{len(units)} of {total} gates ({shown})"


def _not_one(units: list[int], total: int) -> str:
    """Return ``"2 of 8 gates (1, 5) have not"``, ``"None of the 8 gates has"``."""
    if 1 < total == len(units):
        return "Neither gate has" if total == 2 else f"None of the {total} gates has"
    return f"{_some(units, total)} {_verb(units, 'has', 'have')} not"


def _verb(units: list[int], one: str, several: str) -> str:
    return one if len(units) == 1 else several


def _tally(sides: list[int]) -> str:
    """Return ``"3 gates choose the sum and 1 the product"``."""
    counts = [(sides.count(side), name) for side, name in enumerate(_SIDES) if side in sides]
    if len(sides) == 1:
        return f"the gate chooses {counts[0][1]}"
    first, *others = counts
    start = f"{first[0]} {'gate chooses' if first[0] == 1 else 'gates choose'} {first[1]}"
    rest = [f"{number} {name}" for number, name in others]
    return " and ".join(filter(None, [", ".join([start, *rest[:-1]]), *rest[-1:]]))


FINDER = Finder(
    in_each_head(_find), ("gate-undecided", "gate-flips", "gate-closed", "gate-dead", "gate-chosen"), rank=60
)
