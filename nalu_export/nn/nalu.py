"""The neural arithmetic logic unit: a gate between a sum and a product of the inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.functional import log_magnitude
from nalu_export.nn.gated import _GatedCell


def checked_eps(eps: float) -> float:
    """Return ``eps`` as a float in [1e-30, 1]; float32 could not hold a smaller one, and ``log(0)`` would result."""
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 1e-30 <= eps <= 1.0:
        raise InputError(f"eps is {eps!r}; it must be a number from 1e-30 to 1")
    return float(eps)


class NALUCell(_GatedCell):
    """``y = g·a + h·m``, ``a = x Wᵀ``, ``m = exp(log(|x| + ε) W_mᵀ)``, ``g = σ(z)``, ``h = σ(−z)``, ``z = x Gᵀ``.

    ``W = tanh(W_hat)·σ(M_hat)``. ``W_m = W`` when tied (as in the paper), else ``tanh(W_hat_mul)·σ(M_hat_mul)``. The
    second gate is ``σ(−z)``, never ``1 − σ(z)``, which loses the product once ``σ(z)`` rounds to 1.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W_hat``, ``M_hat``, ``W_hat_mul``, ``M_hat_mul``
    ``(out_features, in_features)``; ``G`` the same, ``(1, in_features)`` with ``gate="row"``, or ``(1,)`` with
    ``gate="constant"``.

    The product ``m`` uses magnitudes only, so it is never negative. In float32 it overflows beyond 3.4e38. In float16
    ε itself underflows to zero.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        eps: ε, which bounds the logarithm at zero inputs.
        tied: whether the sum and the product share one weight.
        gate: ``"matrix"``: one gate for each output; ``"row"``: one gate shared by all outputs; ``"constant"``: one
            number that does not depend on x, ``z = G``.
        stored: make ``W`` (and ``W_mul``) parameters, which are not bounded. Some public repositories computed
            ``tanh(W_hat)·σ(M_hat)`` once, in the constructor (a "faux NALU"). Use it to load their files, not for
            training.
        gate_bias: add a bias to the gate: ``z = x Gᵀ + G_bias``, ``G_bias (out_features,)``.
        two_gates: give the product its own gate, ``h = σ(x G_mulᵀ)`` (plus ``G_bias_mul`` with ``gate_bias``).
        init: ``"kaiming_uniform"``, ``"kaiming_normal"`` or ``"xavier_uniform"``; biases start at 0.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508, equations 1 and 2; two gates and
    biases: Madsen and Johansen 2020, Neural Arithmetic Units, arXiv 2001.05016.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        eps: float = 1e-10,
        tied: bool = True,
        gate: str = "matrix",
        *,
        stored: bool = False,
        gate_bias: bool = False,
        two_gates: bool = False,
        init: str = "kaiming_uniform",
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            tied=tied,
            gate=gate,
            stored=stored,
            gate_bias=gate_bias,
            two_gates=two_gates,
            init=init,
        )
        self.eps = checked_eps(eps)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """Return ``m = exp(log(|x| + ε) Wᵀ)``."""
        return torch.exp(F.linear(log_magnitude(x, self.eps), W))
