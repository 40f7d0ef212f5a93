"""The neural accumulator: a linear layer whose weights are driven towards −1, 0 and 1."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.nn.functional import effective_weight
from nalu_export.nn.init import initialise, positive_int
from nalu_export.nn.layer import ArithmeticLayer


class NACCell(ArithmeticLayer):
    """``y = x Wᵀ`` with ``W = tanh(W_hat)·σ(M_hat)``, recomputed in every forward, no bias.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W_hat``, ``M_hat (out_features, in_features)``.
    W is never a parameter of its own: a stored W would be what computes, and the raw parameters would not train.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        init: ``"kaiming_uniform"``, ``"kaiming_normal"`` or ``"xavier_uniform"``.

    Raises:
        InputError: a size is not a positive integer, or ``init`` is not one of the names.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508, equation 1.
    """

    def __init__(self, in_features: int, out_features: int, *, init: str = "kaiming_uniform") -> None:
        super().__init__()
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.W_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.M_hat = nn.Parameter(torch.empty(out_features, in_features))
        initialise(init, self.W_hat, self.M_hat)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in_features)`` → ``(..., out_features)``."""
        return F.linear(x, effective_weight(self.W_hat, self.M_hat))

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def effective_weights(self) -> Mapping[str, Tensor]:
        """``{"W": tanh(W_hat)·σ(M_hat)}``."""
        return {"W": effective_weight(self.W_hat, self.M_hat)}

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"
