"""Where a wrong output begins: both sides are run with their intermediate values."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import fx

from nalu_export.graph import formula_of, label_of, part_of
from nalu_export.parity.analysis import OWN_ERROR
from nalu_export.parity.conditioned import Conditioned
from nalu_export.parity.inputs import Array
from nalu_export.parity.precision import Profile
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import Break
from nalu_export.runtimes.base import Session

OUTPUT = "output"


def locate(
    reference: Reference,
    session: Session,
    x: Array,
    out: NDArray[np.generic],
    profile: Profile,
    name: str,
) -> Break:
    """The first value that leaves its bound on the way to a wrong output.

    Args:
        reference: the model.
        session: the runtime, with the artifact.
        x: a batch of one sample.
        out: what the runtime gave for it.
        profile: the precision in which it computes.
        name: of the runtime.
    """
    steps = list(reference.values(x, profile))
    named = {_name(node): (node, step) for node, step in steps[:-1]}
    named.pop("", None)
    found = session.values(x, list(named))
    activations = _activations(node for node, _ in steps)
    for value, (node, step) in named.items():
        if value in found:
            broken = _broken(found[value], step, batched=node in activations)
            if broken is not None:
                return Break(name, value, _formula(node), *broken)
    broken = _broken(np.asarray(out), steps[-1][1], batched=True)
    if broken is None:
        return Break(name, reason="the worst input holds its bound when it is run alone")
    last = steps[-1][0].args[0]
    formula = _formula(last) if isinstance(last, fx.Node) else ""
    looked = [value for value in named if value in found]
    reason = "" if looked else "the values inside the file cannot be read or have other names"
    return Break(name, OUTPUT, formula, *broken, reason=reason)


def _name(node: fx.Node) -> str:
    """``layers.0.m`` for a primitive or a folded weight, ``head.x`` for what an arithmetic part is given."""
    label = label_of(node)
    if label is not None:
        return label
    if node.op == "get_attr":
        return str(node.target)
    entered = next((part_of(user) for user in node.users if part_of(user)), None) if node.op != "placeholder" else None
    return f"{entered}.x" if entered else ""


def _formula(node: fx.Node) -> str:
    if label_of(node) is not None:
        return formula_of(node)
    return "weight" if node.op == "get_attr" else str(node.target).removeprefix("<built-in method ").split(" ")[0]


def _activations(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """The nodes that depend on the input; the others are weights and have no batch axis."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or any(argument in found for argument in node.all_input_nodes):
            found.add(node)
    return found


def _broken(
    got: NDArray[np.generic], step: Conditioned, *, batched: bool
) -> tuple[tuple[int, ...], float, float, float] | None:
    """Index, found, expected and bound of the element that is furthest outside, ``None`` where all hold."""
    expected, radius = step.value.numpy(), step.radius.numpy() * (1.0 + OWN_ERROR)
    if got.shape != expected.shape:
        return (), math.nan, math.nan, math.nan
    values = got.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        off = np.abs(values - expected)
        off[values == expected] = 0.0
        ratio = np.where(off > 0, off / radius, 0.0)
        wrong = ~(off <= radius) & (step.overflow.expand(step.value.shape).numpy() == 0)
    if not bool(wrong.any()):
        return None
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    index = np.unravel_index(int(np.where(wrong, ratio, -1.0).argmax()), ratio.shape)
    place = tuple(int(i) for i in index)
    return place[1:] if batched else place, float(values[index]), float(expected[index]), float(radius[index])
