"""A NALU whose product keeps the sign of its inputs, by asinh and sinh in place of log and exp."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.nn.gated import _GatedCell


class SinhNALUCell(_GatedCell):
    """``m = sinh(asinh(x) Wᵀ)``; the rest as in :class:`NALUCell`. It has no ε: asinh is finite at 0.

    Shapes: as there. For large ``|x|`` it is a product of powers times a power of two; near 0 it is ``x Wᵀ``.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        stored: W is the parameter itself, as in the only published files.
        init: initialiser, by name.

    Raises:
        InputError: an argument is outside what is listed here; the text names it.

    Source: ``NALU_sinh`` in wassname's fork of kevinzakka's NALU-pytorch (2018), without a paper.
    """

    def __init__(
        self, in_features: int, out_features: int, *, stored: bool = False, init: str = "kaiming_uniform"
    ) -> None:
        super().__init__(in_features, out_features, stored=stored, init=init)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """``m = sinh(asinh(x) Wᵀ)``."""
        return torch.sinh(F.linear(torch.asinh(x), W))
