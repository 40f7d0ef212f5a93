"""The conversions between floating point types that the package itself puts into a graph."""

import torch
from torch import Tensor

from nalu_export.primitives.record import Primitive


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """``x`` in another floating point type: the edges of ``--compute float64``."""
    return x.to(dtype)


PRIMITIVES = (Primitive("cast", cast, ("input", "dtype"), kind="cast"),)
