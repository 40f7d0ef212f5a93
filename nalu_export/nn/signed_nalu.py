"""A NALU whose product has the sign of the product of all inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.nn.functional import log_magnitude
from nalu_export.nn.gated import _GatedCell
from nalu_export.nn.nalu import checked_eps


class SignedNALUCell(_GatedCell):
    """``m = s·exp(log(|x| + ε) Wᵀ)``, ``s`` the product of the signs of all inputs; otherwise as :class:`NALUCell`.

    Shapes as in :class:`NALUCell`. ``s`` is one number for each sample, and 0 where an input is 0. ``s`` does not
    depend on W: a negative input flips the sign even where its weight is 0.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, which bounds the logarithm at zero inputs.
        gate: ``"constant"`` (as in the only published files), ``"matrix"`` or ``"row"``.
        init: name of the initialiser.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

    Source: the signed NALU (SNALU), a public fork of arthurdouillard's nalu.pytorch, without a paper.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        eps: float = 1e-8,
        gate: str = "constant",
        *,
        init: str = "kaiming_uniform",
    ) -> None:
        super().__init__(in_features, out_features, gate=gate, init=init)
        self.eps = checked_eps(eps)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """Return ``m = s·exp(log(|x| + ε) Wᵀ)``."""
        s = torch.prod(torch.sign(x), dim=-1, keepdim=True)
        return s * torch.exp(F.linear(log_magnitude(x, self.eps), W))
