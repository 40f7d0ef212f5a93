"""A NALU whose product path lacks the logarithm."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.nn.gated import _GatedCell
from nalu_export.nn.nalu import checked_eps


class LoglessNALUCell(_GatedCell):
    """``m = exp((|x| + ε) Wᵀ)``; otherwise as :class:`NALUCell`. Without the logarithm, ``m`` is not a product.

    Shapes as in :class:`NALUCell`. In float32 ``m`` overflows where the sum exceeds 88. Use it to load the files of the
    repository below, not for training.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, added to the magnitude.
        init: name of the initialiser.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

    Source: a public NALU with ``tanh_weights`` and ``sigmoid_weights`` behind a DenseNet, without a paper.
    """

    def __init__(
        self, in_features: int, out_features: int, eps: float = 1e-12, *, init: str = "kaiming_uniform"
    ) -> None:
        super().__init__(in_features, out_features, init=init)
        self.eps = checked_eps(eps)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """Return ``m = exp((|x| + ε) Wᵀ)``."""
        return torch.exp(F.linear(torch.abs(x) + self.eps, W))
