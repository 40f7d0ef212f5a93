"""The cosine."""

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.operands import Pair
from nalu_export.primitives.precision import COS, Precision
from nalu_export.primitives.record import Primitive


def _cos_unit(value: Tensor, x: Conditioned) -> Pair:
    read = x.read
    change = torch.sin(x.value).abs() * read + ROUNDOFF / 2 * read * read
    return value.abs(), change.clamp(max=2.0 / ROUNDOFF)


def _cos_radius(p: Precision, value: Tensor, x: Conditioned) -> Tensor:
    radius = (torch.sin(x.value).abs() * x.radius + x.radius**2 / 2).clamp(max=2.0)
    # Absolute: near a zero of the cosine no float32 argument reduction is accurate in relative terms.
    return radius + COS * p.roundoff + torch.zeros_like(value)


PRIMITIVES = (Primitive("cos", torch.cos, ("input",), names=("cos",), unit=_cos_unit, radius=_cos_radius),)
