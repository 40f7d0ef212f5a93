"""Products over an axis."""

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned
from nalu_export.primitives.operands import Pair
from nalu_export.primitives.precision import Precision
from nalu_export.primitives.record import Primitive


def _prod_unit(value: Tensor, x: Conditioned, dim: int, keepdim: bool) -> Pair:
    size = x.size.movedim(dim, -1)
    one = torch.ones_like(size[..., :1])
    before = torch.cumprod(torch.cat([one, size[..., :-1]], -1), -1)
    after = torch.cumprod(torch.cat([one, size.flip(-1)[..., :-1]], -1), -1).flip(-1)
    error = (before * after * x.error.movedim(dim, -1)).sum(-1) + size.prod(-1) * size.shape[-1]
    return value.abs(), error.unsqueeze(dim) if keepdim else error


def _prod_radius(p: Precision, value: Tensor, x: Conditioned, dim: int, keepdim: bool) -> Tensor:
    del value  # the partial products are needed
    values, radii = x.value.unbind(dim), x.radius.unbind(dim)
    total, radius = values[0], radii[0]
    for factor, own in zip(values[1:], radii[1:], strict=True):
        radius = total.abs() * own + factor.abs() * radius + radius * own
        total = total * factor
        radius = p.rounded(total, radius)
    return radius.unsqueeze(dim) if keepdim else radius


PRIMITIVES = (
    Primitive(
        "prod",
        torch.prod,
        ("input", "dim", "keepdim"),
        {"keepdim": False},
        names=("prod",),
        unit=_prod_unit,
        radius=_prod_radius,
        kind="reduction",
    ),
)
