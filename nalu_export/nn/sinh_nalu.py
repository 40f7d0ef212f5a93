"""A NALU with asinh and sinh in place of log and exp, so that its product keeps the signs of the inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from nalu_export.nn.gated import _GatedCell


class SinhNALUCell(_GatedCell):
    """``m = sinh(asinh(x) Wᵀ)``; otherwise as :class:`NALUCell`. It needs no ε, because asinh is finite at 0.

    Shapes as in :class:`NALUCell`. For large ``|x|``, ``m`` is a product of powers times a power of two. Near 0 it is
    ``x Wᵀ``.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        stored: make W a parameter, as in the only published files.
        init: name of the initialiser.

    Raises:
        InputError: an argument is outside the values listed above; the message names it.

    Source: ``NALU_sinh`` in wassname's fork of kevinzakka's NALU-pytorch (2018), without a paper.
    """

    def __init__(
        self, in_features: int, out_features: int, *, stored: bool = False, init: str = "kaiming_uniform"
    ) -> None:
        super().__init__(in_features, out_features, stored=stored, init=init)

    def product(self, x: Tensor, W: Tensor) -> Tensor:
        """Return ``m = sinh(asinh(x) Wᵀ)``."""
        return torch.sinh(F.linear(torch.asinh(x), W))
