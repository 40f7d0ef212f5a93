"""The neural accumulator: a linear layer whose weights are driven towards −1, 0 and 1."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.nn.functional import effective_weight
from nalu_export.nn.init import choose, initialise, positive_int
from nalu_export.nn.layer import ArithmeticLayer


class NACCell(ArithmeticLayer):
    """``y = x Wᵀ`` with ``W = tanh(W_hat)·σ(M_hat)``, computed in every forward; no bias.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W_hat``, ``M_hat (out_features, in_features)``.
    W is not a parameter: the layer would compute with a stored W, and the raw parameters would not train.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        stored: make W a parameter, without raw parameters. Some public repositories computed ``tanh(W_hat)·σ(M_hat)``
            once, in the constructor; such a "faux NAC" is this linear layer. Use it to load their files, not for
            training.
        init: ``"kaiming_uniform"``, ``"kaiming_normal"`` or ``"xavier_uniform"``.

    Raises:
        InputError: a size is not a positive integer, or ``init`` is not one of the names.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508, equation 1.
    """

    # Final: TorchScript then compiles only the branch that runs, and the weights of the other branch need not exist.
    stored: Final[bool]
    W: Tensor
    W_hat: Tensor
    M_hat: Tensor

    def __init__(
        self, in_features: int, out_features: int, *, stored: bool = False, init: str = "kaiming_uniform"
    ) -> None:
        super().__init__()
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.stored = choose("stored", stored, (True, False))
        for name in ("W",) if stored else ("W_hat", "M_hat"):
            parameter = nn.Parameter(torch.empty(out_features, in_features))
            initialise(init, parameter)
            self.register_parameter(name, parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y``: ``(..., in_features)`` → ``(..., out_features)``."""
        W = self.W if self.stored else effective_weight(self.W_hat, self.M_hat)
        return F.linear(x, W)

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """Return the constructor arguments, as torch prints them."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, stored=True" if self.stored else sizes
