"""Stacks of cells, built from a list of sizes. The cells are ``layers.0``, ``layers.1`` … in the state_dict."""

from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.errors import InputError
from nalu_export.nn.init import positive_int
from nalu_export.nn.layer import ArithmeticLayer
from nalu_export.nn.nac import NACCell
from nalu_export.nn.nalu import NALUCell


class _Stack(ArithmeticLayer):
    """A sequence of cells; a subclass chooses the class of the cells."""

    def __init__(self, dims: tuple[int, ...], cell: type[ArithmeticLayer], **options: Any) -> None:
        super().__init__()
        if len(dims) < 2:
            raise InputError(f"dims is {list(dims)}; a stack needs at least an input and an output size")
        self.dims = tuple(positive_int(f"dims[{index}]", size) for index, size in enumerate(dims))
        self.layers = nn.ModuleList(
            cell(inputs, outputs, **options) for inputs, outputs in zip(self.dims, self.dims[1:], strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(..., dims[-1])`` for ``(..., dims[0])``."""
        for layer in self.layers:
            x = layer(x)
        return x


class NAC(_Stack):
    """A stack of :class:`NACCell`: ``NAC(2, 8, 1)`` has two cells, 2 → 8 → 1.

    Args:
        dims: sizes from the input to the output, at least two.
        stored: whether W is a parameter in every cell, see :class:`NACCell`.
        init: name of the initialiser of every cell.

    Raises:
        InputError: fewer than two sizes, or an argument that a cell refuses.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508.
    """

    def __init__(self, *dims: int, stored: bool = False, init: str = "kaiming_uniform") -> None:
        super().__init__(dims, NACCell, stored=stored, init=init)
        self.stored = stored


class NALU(_Stack):
    """A stack of :class:`NALUCell`: ``NALU(16, 32, 1)`` has two cells, 16 → 32 → 1.

    Args:
        dims: sizes from the input to the output, at least two.
        eps: ε of every cell.
        tied: whether the sum and the product of a cell share one weight.
        gate: ``"matrix"``, ``"row"`` or ``"constant"``, for every cell.
        stored: whether W is a parameter in every cell, see :class:`NALUCell`.
        gate_bias: whether the gates have a bias.
        two_gates: whether the product has its own gate.
        init: name of the initialiser of every cell.

    Raises:
        InputError: fewer than two sizes, or an argument that a cell refuses.

    Source: Trask et al. 2018, Neural Arithmetic Logic Units, arXiv 1808.00508.
    """

    def __init__(
        self,
        *dims: int,
        eps: float = 1e-10,
        tied: bool = True,
        gate: str = "matrix",
        stored: bool = False,
        gate_bias: bool = False,
        two_gates: bool = False,
        init: str = "kaiming_uniform",
    ) -> None:
        super().__init__(
            dims,
            NALUCell,
            eps=eps,
            tied=tied,
            gate=gate,
            stored=stored,
            gate_bias=gate_bias,
            two_gates=two_gates,
            init=init,
        )
        self.eps = eps
        self.tied = tied
        self.gate = gate
        self.stored = stored
        self.gate_bias = gate_bias
        self.two_gates = two_gates

    @torch.jit.ignore  # type: ignore[untyped-decorator]
    def extra_repr(self) -> str:
        """Return nothing: the cells print their own arguments."""
        return ""
