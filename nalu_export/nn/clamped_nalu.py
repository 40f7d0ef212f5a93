"""A NALU whose logarithm and exponent are kept in range."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.gated import _GatedCell
from nalu_export.nn.nalu import checked_eps


class ClampedNALUCell(_GatedCell):
    """``m = exp(clamp(log(max(|x|, floor) + ε) W_mᵀ, −limit, limit))``; the rest as in :class:`NALUCell`.

    Shapes: as there; the two paths have weights of their own.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, added to the magnitude after the floor.
        floor: smallest magnitude that the product sees; 0 or more.
        limit: largest exponent; the product stays within ``exp(±limit)``.
        gate_bias: whether the gate has a bias.
        init: initialiser, by name.

    Raises:
        InputError: an argument is outside what is listed here; the text names it.

    Source: version 3 of the "a/m/g" units, found in several public repositories without a paper; the cell of Trask et
    al. 2018, arXiv 1808.00508, with the clamps of Schlör et al. 2020, arXiv 2003.07629.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        eps: float = 1e-10,
        floor: float = 1e-7,
        limit: float = 20.0,
        gate_bias: bool = True,
        *,
        init: str = "kaiming_uniform",
    ) -> None:
        super().__init__(in_features, out_features, tied=False, gate_bias=gate_bias, init=init)
        self.eps = checked_eps(eps)
        self.floor = _number("floor", floor, 0.0, 1.0)
        self.limit = _number("limit", limit, 1.0, 80.0)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """``m = exp(clamp(log(max(|x|, floor) + ε) Wᵀ, −limit, limit))``."""
        magnitude = torch.clamp(torch.abs(x), min=self.floor) + self.eps
        return torch.exp(torch.clamp(F.linear(torch.log(magnitude), W), min=-self.limit, max=self.limit))


def _number(name: str, value: float, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)
