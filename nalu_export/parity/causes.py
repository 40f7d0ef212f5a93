"""Why outputs are left out of a comparison: the first value without a finite error bound, and the reason for it."""

import math

import torch
from torch import Tensor, fx

from nalu_export.graph import primitive_of
from nalu_export.parity.batch import Batch
from nalu_export.parity.locate import activations, described, name_of
from nalu_export.parity.reference import Reference
from nalu_export.primitives.conditioned import LARGEST, LARGEST_DOUBLE, Conditioned
from nalu_export.primitives.precision import SINH_SHIFT, Profile

UNKNOWN = "its error bound is infinite"
# Primitives that are infinite or undefined at 0, and the argument that must not be 0.
SINGULAR = {
    "log": "the argument",
    "log2": "the argument",
    "log10": "the argument",
    "rsqrt": "the argument",
    "reciprocal": "the argument",
    "pow": "the base",
    "div": "the divisor",
}
# How far past the limit of exp the argument of each primitive may be.
EXPONENTIAL = {"exp": 0.0, "sinh": SINH_SHIFT}
# Primitives whose bound is infinite for one reason only: the result may overflow.
OVERFLOWING = (*EXPONENTIAL, "linear", "add", "sub", "mul", "prod", "sum", "square")


def causes(reference: Reference, x: Batch, profile: Profile) -> list[str]:
    """Return, for each sample, why its outputs are left out of the comparison.

    The reason is that of the first value, in the order of computation, whose error bound is infinite. Where all bounds
    are finite, it is that of the first value that may overflow its type.

    Args:
        reference: the model.
        x: samples for which some outputs are left out.
        profile: the precision of the comparison.
    """
    return [cause for rows in reference.portions(x) for cause in _causes(reference, x[rows], profile)]


def _causes(reference: Reference, x: Batch, profile: Profile) -> list[str]:
    steps = dict(reference.values(x, profile))
    batched = activations(steps)
    limit = 2 if profile.compute == "float64" else 1
    found = [""] * len(x)
    for unbounded in (True, False):
        for node, step in steps.items():
            mask = step.lost > 0 if unbounded else step.overflow >= limit
            for sample in _affected(mask, len(x), batched=node in batched):
                if not found[sample]:
                    arguments = [argument for argument in node.all_input_nodes if argument in steps]
                    balls = [_part(steps[one], sample, batched=one in batched) for one in (node, *arguments)]
                    found[sample] = _cause(node, balls, profile)
    return [cause or UNKNOWN for cause in found]


def _affected(mask: Tensor, samples: int, *, batched: bool) -> list[int]:
    """Return the samples with an element marked in the mask; a mark in a weight affects all samples."""
    if not bool(mask.any()):
        return []
    if not batched or mask.shape[:1] != (samples,):
        return list(range(samples))
    marked: list[int] = mask.reshape(samples, -1).any(dim=1).nonzero().flatten().tolist()
    return marked


def _part(ball: Conditioned, sample: int, *, batched: bool) -> tuple[Tensor, Tensor]:
    """Return value and radius of a ball; only those of ``sample`` where the ball has a batch axis."""
    radius = ball.radius.expand(ball.value.shape)
    if not batched or ball.value.ndim == 0 or sample >= len(ball.value):
        return ball.value, radius
    return ball.value[sample], radius[sample]


def _cause(node: fx.Node, balls: list[tuple[Tensor, Tensor]], profile: Profile) -> str:
    """Return why a bound is infinite, given the values and radii of the result and of its arguments."""
    primitive = primitive_of(node)
    name = name_of(node) or node.name
    # The description of an opaque call is its name again.
    said = name if primitive is None or described(node) == name else f"{name} = {described(node)}"
    if bool(torch.isnan(balls[0][0]).any()):
        return f"{said} is NaN in the reference"
    kind = "" if primitive is None else primitive.name
    if kind in SINGULAR and any(bool((value.abs() <= radius).any()) for value, radius in balls[1:]):
        return f"{said}: {SINGULAR[kind]} may be 0 within its error bound"
    past = profile.exp_limit + EXPONENTIAL.get(kind, math.inf)
    if bool((balls[-1][0].abs() + balls[-1][1] > past).any()):
        return f"{said}: the exp of this runtime is infinite past {profile.exp_limit:g}"
    wide = profile.compute == "float64" and primitive is not None
    largest, type_name = (LARGEST_DOUBLE, "float64") if wide else (LARGEST, "float32")
    sizes = [value.abs() + torch.where(torch.isfinite(radius), radius, 0.0) for value, radius in balls]
    if kind in OVERFLOWING or any(bool((size > largest).any()) for size in sizes):
        return f"{said} may leave the range of {type_name}"
    return f"{said}: {UNKNOWN}"
