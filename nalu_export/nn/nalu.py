"""The neural arithmetic logic unit: a gate between a sum and a product of the inputs."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.functional import effective_weight, log_magnitude
from nalu_export.nn.init import choose, initialise, positive_int
from nalu_export.nn.layer import ArithmeticLayer

GATES = ("matrix", "row")


def checked_eps(eps: float) -> float:
    """``eps`` as a float in [1e-30, 1]; below that float32 could not hold it and ``log(0)`` would come back."""
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 1e-30 <= eps <= 1.0:
        raise InputError(f"eps is {eps!r}; it must be a number from 1e-30 to 1")
    return float(eps)


class NALUCell(ArithmeticLayer):
    """``y = g·a + h·m``, ``a = x Wᵀ``, ``m = exp(log(|x| + ε) W_mᵀ)``, ``g = σ(z)``, ``h = σ(−z)``, ``z = x Gᵀ``.

    ``W = tanh(W_hat)·σ(M_hat)``; ``W_m = W`` when tied (the paper), else ``tanh(W_hat_mul)·σ(M_hat_mul)``. The
    second gate is ``σ(−z)``, never ``1 − σ(z)``, which loses the product once ``σ(z)`` rounds to 1.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W_hat``, ``M_hat``, ``W_hat_mul``, ``M_hat_mul``
    ``(out_features, in_features)``; ``G`` the same, or ``(1, in_features)`` with ``gate="row"``.

    The product path sees magnitudes only, so it cannot give a negative product. In float32 it overflows past
    3.4e38, and in float16 ε itself underflows to zero.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, which bounds the logarithm at zero inputs.
        tied: one weight for both paths, or one each.
        gate: ``"matrix"``, a gate for each output, or ``"row"``, one gate shared by all outputs.
        init: ``"kaiming_uniform"``, ``"kaiming_normal"`` or ``"xavier_uniform"``.

    Raises:
        InputError: an argument is outside what is listed here; the text names it.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508, equations 1 and 2.
    """

    # Final: TorchScript then compiles only the branch that is taken, and the other weights need not exist.
    tied: Final[bool]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        eps: float = 1e-10,
        tied: bool = True,
        gate: str = "matrix",
        *,
        init: str = "kaiming_uniform",
    ) -> None:
        super().__init__()
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.eps = checked_eps(eps)
        self.tied = choose("tied", tied, (True, False))
        self.gate = choose("gate", gate, GATES)
        self.W_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.M_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.G = nn.Parameter(torch.empty(1 if gate == "row" else out_features, in_features))
        initialise(init, self.W_hat, self.M_hat, self.G)
        if not tied:
            self.W_hat_mul = nn.Parameter(torch.empty(out_features, in_features))
            self.M_hat_mul = nn.Parameter(torch.empty(out_features, in_features))
            initialise(init, self.W_hat_mul, self.M_hat_mul)

    def forward(self, x: Tensor) -> Tensor:
        """``(..., in_features)`` → ``(..., out_features)``."""
        W = effective_weight(self.W_hat, self.M_hat)
        W_mul = W
        if not self.tied:
            W_mul = effective_weight(self.W_hat_mul, self.M_hat_mul)
        a = F.linear(x, W)
        m = torch.exp(F.linear(log_magnitude(x, self.eps), W_mul))
        z = F.linear(x, self.G)
        g = torch.sigmoid(z)
        h = torch.sigmoid(-z)
        return g * a + h * m

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def effective_weights(self) -> Mapping[str, Tensor]:
        """``{"W": …}``, and ``"W_mul"`` where the product path has weights of its own."""
        weights = {"W": effective_weight(self.W_hat, self.M_hat)}
        if not self.tied:
            weights["W_mul"] = effective_weight(self.W_hat_mul, self.M_hat_mul)
        return weights

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """The arguments, as torch prints them."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, eps={self.eps}, "
            f"tied={self.tied}, gate={self.gate!r}"
        )
