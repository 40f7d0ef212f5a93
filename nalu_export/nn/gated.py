"""Base class of the gated cells: a sum of the inputs, a product of the inputs, and a gate that weighs the two."""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export.errors import InputError
from nalu_export.nn.functional import effective_weight
from nalu_export.nn.init import choose, initialise, positive_int
from nalu_export.nn.layer import ArithmeticLayer

GATES = ("matrix", "row", "constant")
_FLAG = (True, False)


class _GatedCell(ArithmeticLayer):
    """``y = g·a + h·m``: the gates, the weights and the sum ``a``. A subclass defines ``m`` in :meth:`product`.

    ``a = x Wᵀ``, ``g = σ(z)``, ``h = σ(−z)``, ``z = x Gᵀ + G_bias``. The second gate is ``σ(−z)``, never ``1 − σ(z)``,
    which loses the product once ``σ(z)`` rounds to 1. With ``two_gates`` it is ``σ(x G_mulᵀ + G_bias_mul)``.

    Shapes: ``x (..., in_features)`` → ``y (..., out_features)``; ``W_hat``, ``M_hat``, ``W_hat_mul``, ``M_hat_mul``, or
    with ``stored`` ``W``, ``W_mul``: ``(out_features, in_features)``; ``G``, ``G_mul``: the same shape, but
    ``(1, in_features)`` with ``gate="row"`` and ``(1,)`` with ``gate="constant"``; ``G_bias``, ``G_bias_mul``:
    ``(out_features,)``.
    """

    # Final: TorchScript then compiles only the branch that runs, and the weights of the other branch need not exist.
    tied: Final[bool]
    stored: Final[bool]
    constant_gate: Final[bool]
    gate_bias: Final[bool]
    two_gates: Final[bool]
    W: Tensor
    W_mul: Tensor
    W_hat: Tensor
    M_hat: Tensor
    W_hat_mul: Tensor
    M_hat_mul: Tensor
    G: Tensor
    G_mul: Tensor
    G_bias: Tensor
    G_bias_mul: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        tied: bool = True,
        gate: str = "matrix",
        stored: bool = False,
        gate_bias: bool = False,
        two_gates: bool = False,
        init: str,
    ) -> None:
        super().__init__()
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.tied = choose("tied", tied, _FLAG)
        self.gate = choose("gate", gate, GATES)
        self.stored = choose("stored", stored, _FLAG)
        self.gate_bias = choose("gate_bias", gate_bias, _FLAG)
        self.two_gates = choose("two_gates", two_gates, _FLAG)
        self.constant_gate = gate == "constant"
        if gate != "matrix" and (gate_bias or two_gates):
            raise InputError(f"gate is {gate!r}; gate_bias and two_gates need gate='matrix'")
        gates = {"matrix": (out_features, in_features), "row": (1, in_features), "constant": (1,)}[gate]
        # Keep this order: it decides which random numbers each parameter gets from a seed, since the first release.
        self._add_weights("", init)
        self._add("G", gates, init)
        if not tied:
            self._add_weights("_mul", init)
        if two_gates:
            self._add("G_mul", gates, init)
        for name in ("G_bias", "G_bias_mul")[: gate_bias * (1 + two_gates)]:
            self.register_parameter(name, nn.Parameter(torch.zeros(out_features)))

    def _add_weights(self, suffix: str, init: str) -> None:
        for name in ("W",) if self.stored else ("W_hat", "M_hat"):
            self._add(name + suffix, (self.out_features, self.in_features), init)

    def _add(self, name: str, shape: tuple[int, ...], init: str) -> None:
        parameter = nn.Parameter(torch.empty(shape))
        # Initialisers need a matrix; a constant gate is a matrix of one row and one column.
        initialise(init, parameter.view(-1, shape[-1]))
        self.register_parameter(name, parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``y``: ``(..., in_features)`` → ``(..., out_features)``."""
        W = self.W if self.stored else effective_weight(self.W_hat, self.M_hat)
        W_mul = W
        if not self.tied:
            W_mul = self.W_mul if self.stored else effective_weight(self.W_hat_mul, self.M_hat_mul)
        a = F.linear(x, W)
        m = self.product(x, W_mul)
        z = self.gate_input(x)
        g = torch.sigmoid(z)
        h = torch.sigmoid(-z)
        if self.two_gates:
            z_mul = self.product_gate_input(x)
            h = torch.sigmoid(z_mul)
        return g * a + h * m

    def gate_input(self, x: Tensor) -> Tensor:
        """Return ``z`` of both gates: ``(..., in_features)`` → ``(..., 1 or out_features)``; ``(1,)`` if constant."""
        return self.G if self.constant_gate else F.linear(x, self.G, self.G_bias if self.gate_bias else None)

    def product_gate_input(self, x: Tensor) -> Tensor:
        """Return the argument of the product's own gate, for ``two_gates``; shapes as in :meth:`gate_input`."""
        return F.linear(x, self.G_mul, self.G_bias_mul if self.gate_bias else None)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """Return the product ``m`` with the weights W: ``(..., in_features)`` → ``(..., out_features)``."""
        raise NotImplementedError

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """Return the main constructor arguments, as torch prints them; flags only where they are true."""
        flags = [name for name in ("stored", "gate_bias", "two_gates") if getattr(self, name)]
        shown = [f"in_features={self.in_features}", f"out_features={self.out_features}"]
        shown += [f"{name}={getattr(self, name)}" for name in ("eps",) if hasattr(self, name)]
        shown += [f"tied={self.tied}", f"gate={self.gate!r}", *(f"{name}=True" for name in flags)]
        return ", ".join(shown)
