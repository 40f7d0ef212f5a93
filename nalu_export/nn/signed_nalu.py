"""A NALU whose product takes the sign of all its inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.nn.functional import log_magnitude
from nalu_export.nn.gated import _GatedCell
from nalu_export.nn.nalu import checked_eps


class SignedNALUCell(_GatedCell):
    """``m = s·exp(log(|x| + ε) Wᵀ)``, ``s`` the product of the signs of all inputs; the rest as in :class:`NALUCell`.

    Shapes: as there. ``s`` is one number for each sample, and 0 where an input is 0. It does not look at W: an input
    that the product leaves out turns its sign all the same.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, which bounds the logarithm at zero inputs.
        gate: ``"constant"``, as in the only published files, ``"matrix"`` or ``"row"``.
        init: initialiser, by name.

    Raises:
        InputError: an argument is outside what is listed here; the text names it.

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
        """``m = s·exp(log(|x| + ε) Wᵀ)``."""
        s = torch.prod(torch.sign(x), dim=-1, keepdim=True)
        return s * torch.exp(F.linear(log_magnitude(x, self.eps), W))
