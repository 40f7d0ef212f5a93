"""A linear layer with a factor from −1 to 1 on each output; its author, wassname, called it an exact NAC."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.nn.init import initialise, positive_int
from nalu_export.nn.layer import ArithmeticLayer


class NACExactCell(ArithmeticLayer):
    """``y = (1 − 2σ(z))·t``, ``t = x Wᵀ + bias``, ``z = x Gᵀ + G_bias``.

    ``forward`` computes the equal ``−tanh(z/2)·t``, which does not cancel at ``z = 0``. W is not bounded, so this is
    not a neural accumulator in the sense of Trask et al. 2018.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W``, ``G (out_features, in_features)``; ``bias``,
    ``G_bias (out_features,)``.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        init: name of the initialiser of W and G; biases start at 0.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

    Source: ``NAC_exact`` in wassname's fork of kevinzakka's NALU-pytorch (2018), without a paper.
    """

    def __init__(self, in_features: int, out_features: int, *, init: str = "kaiming_uniform") -> None:
        super().__init__()
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.W = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.G = nn.Parameter(torch.empty(out_features, in_features))
        self.G_bias = nn.Parameter(torch.zeros(out_features))
        initialise(init, self.W, self.G)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y``: ``(..., in_features)`` → ``(..., out_features)``."""
        t = F.linear(x, self.W, self.bias)
        z = F.linear(x, self.G, self.G_bias)
        s = torch.tanh(-0.5 * z)
        return s * t

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """Return the sizes, as torch prints them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"
