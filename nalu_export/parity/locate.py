"""Compares every intermediate value that a runtime can show with its own bound, and names the first wrong one."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import fx

from nalu_export.graph import formula_of, label_of, part_of
from nalu_export.graph.constants import read_by_parts
from nalu_export.parity.analysis import OWN_ERROR
from nalu_export.parity.batch import Batch
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import Divergence, Worst
from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.precision import SINGLE, Profile
from nalu_export.runtimes.base import Session

# Index, runtime's value, expected value and bound of a wrong element.
_Place = tuple[tuple[int, ...], float, float, float]


@dataclass(frozen=True)
class IntermediateValues:
    """The comparison of a runtime's intermediate values.

    Attributes:
        values: how many named values the runtime showed.
        numbers: how many numbers those hold.
        ratio: largest error/bound among them.
        first: the first value that leaves its bound, ``None`` if all are within their bounds.
    """

    values: int
    numbers: int
    ratio: float
    first: Divergence | None


def compare_intermediate_values(
    reference: Reference, session: Session, x: Batch, profile: Profile, name: str
) -> IntermediateValues:
    """Compare the intermediate values and weights of a runtime with the reference's, in the order of computation.

    Args:
        reference: the model.
        session: the runtime, with the artifact.
        x: a batch.
        profile: the precision in which it computes.
        name: name of the runtime.
    """
    live = bool(raw := list(reference.raw_parameters)) and reference.is_live(session.values(x.arrays, raw))
    first, largest, numbers, values = None, 0.0, 0, 0
    earliest = math.inf
    for rows in reference.portions(x):
        steps = reference.values(x[rows], replace(profile, live=live))
        weights = read_by_parts(steps[0][0].graph) if steps else ()
        named = {value: (node, step) for node, step in steps if (value := name_of(node, weights))}
        found = session.values(x[rows].arrays, list(named))
        batched = activations(node for node, _ in steps)
        values = sum(value in found for value in named)
        for place, (value, (node, step)) in enumerate(named.items()):
            # Weights are the same in every portion.
            if value not in found or (rows.start and node not in batched):
                continue
            numbers += found[value].size
            ratio, broken = _compared(found[value], step, profile, batched=node in batched)
            largest = max(largest, ratio)
            if broken is not None and place < earliest:
                earliest, first = place, Divergence(name, value, described(node), *broken)
    return IntermediateValues(values, numbers, largest, first)


def of_output(
    reference: Reference, worst: Worst, outputs: Sequence[str], profile: Profile, *, looked: bool
) -> Divergence:
    """Return the divergence at an output, if all intermediate values are within their bounds or cannot be read.

    Args:
        reference: the model.
        worst: the worst input and output of a runtime.
        outputs: names of the model's outputs.
        profile: the precision in which the runtime computes.
        looked: whether the intermediate values could be read.
    """
    node, step = reference.outputs(worst.batch, profile)[outputs.index(worst.output)]
    out = np.asarray(worst.out)[None]
    _, broken = _compared(out, _of_a_sample(step, out.shape), profile, batched=True)
    if broken is None:
        broken = _wrong_zero(out, _of_a_sample(step, out.shape))
    if broken is None:
        return Divergence(worst.runtime, reason="the worst input is within its bound when it runs alone")
    reason = "" if looked else "the intermediate values cannot be read or have other names"
    return Divergence(worst.runtime, worst.output, described(node), *broken, reason=reason)


def _of_a_sample(step: Conditioned, shape: tuple[int, ...]) -> Conditioned:
    """Expand an output to one sample, because a constant output has no batch axis."""
    names = ("value", "radius", "overflow", "lost", "zero")
    return replace(step, **{name: getattr(step, name).expand(shape) for name in names})


def _wrong_zero(out: NDArray[np.generic], step: Conditioned) -> _Place | None:
    zero = step.zero.expand(step.value.shape).numpy()
    values = out.astype(np.float64)
    wrong = (zero != 0) & (values == 0) & (np.signbit(values) != (zero < 0))
    if not bool(wrong.any()):
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return index[1:], float(values[index]), 0.0 * float(zero[index]), 0.0


def name_of(node: fx.Node, weights: Collection[fx.Node] | None = None) -> str:
    """Return ``layers.0.m`` for a primitive, ``layers.0.W`` for a weight, ``head.x`` for a subgraph's input.

    Args:
        node: a node of a captured graph.
        weights: nodes that the graph's arithmetic subgraphs read as weights; computed if not given.
    """
    label = label_of(node)
    if label is not None:
        return label
    if node.op == "get_attr":
        # Exporters change weights of other layers but keep their names: a batch norm is folded into a convolution.
        return str(node.target) if node in (read_by_parts(node.graph) if weights is None else weights) else ""
    if node.op == "placeholder" or part_of(node) is not None:
        return ""
    entered: str = node.meta.get("entry", "")
    return entered


def described(node: fx.Node) -> str:
    """Return ``exp(linear)`` for a primitive, ``weight``, or the name of the called module or function."""
    if label_of(node) is not None:
        return formula_of(node)
    if node.op == "get_attr":
        return "weight"
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def activations(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """Return the nodes that depend on the input; the others are weights and have no batch axis."""
    found: set[fx.Node] = set()
    for node in nodes:
        if node.op == "placeholder" or any(argument in found for argument in node.all_input_nodes):
            found.add(node)
    return found


def _compared(
    got: NDArray[np.generic], step: Conditioned, profile: Profile, *, batched: bool
) -> tuple[float, _Place | None]:
    """Return the largest error/bound, and, if that element is wrong, its index, value, expected value and bound."""
    expected, overflow = step.value.numpy(), step.overflow.expand(step.value.shape).numpy()
    if got.shape != expected.shape:
        return math.inf, ((), math.nan, math.nan, math.nan)
    if got.size == 0:
        return 0.0, None
    if profile.compute == "float64":
        radius, limit = 2.0 * step.radius.numpy(), 2
        values = got.astype(np.float64)
    else:
        radius, limit = step.radius.numpy() * (1.0 + OWN_ERROR), 1
        if not batched:
            # The radius of a rounded weight is exactly its error; at least one rounding keeps error/bound meaningful.
            radius = np.where(radius > 0, np.maximum(radius, SINGLE * np.abs(expected)), 0.0)
        # A live file computes its weights in float64 and rounds them when it uses them.
        with np.errstate(over="ignore"):
            values = got.astype(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # A 0-dimensional result would be a scalar; as an array its element can be assigned.
        off = np.array(np.abs(values - expected))
        off[values == expected] = 0.0
        ratio = np.array(np.where(off > 0, off / radius, 0.0))
    ratio[np.isnan(off)] = np.inf
    ratio[(overflow >= limit) | (step.lost.expand(step.value.shape).numpy() > 0)] = 0.0
    index = tuple(int(i) for i in np.unravel_index(int(ratio.argmax()), ratio.shape))
    largest = float(ratio[index])
    if largest <= 1.0:
        return largest, None
    place = index[1:] if batched else index
    return largest, (place, float(values[index]), float(expected[index]), float(radius[index]))
