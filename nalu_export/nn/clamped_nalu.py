"""A NALU that clamps the argument of its logarithm and of its exponential."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.gated import _GatedCell
from nalu_export.nn.nalu import checked_eps


class ClampedNALUCell(_GatedCell):
    """``m = exp(clamp(log(max(|x|, floor) + ε) W_mᵀ, −limit, limit))``; otherwise as :class:`NALUCell`.

    Shapes as in :class:`NALUCell`. The sum and the product have separate weights.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, added to the magnitude after the floor.
        floor: lower bound of the magnitude ``|x|``, from 0 to 1.
        limit: largest exponent, from 1 to 80; the product stays between ``exp(−limit)`` and ``exp(limit)``.
        gate_bias: whether the gate has a bias.
        init: name of the initialiser.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

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
        """Return ``m = exp(clamp(log(max(|x|, floor) + ε) Wᵀ, −limit, limit))``."""
        magnitude = torch.clamp(torch.abs(x), min=self.floor) + self.eps
        return torch.exp(torch.clamp(F.linear(torch.log(magnitude), W), min=-self.limit, max=self.limit))


def _number(name: str, value: float, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(value)
