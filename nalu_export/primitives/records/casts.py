"""The conversion between floating point types; the package itself inserts it into graphs."""

import torch
from torch import Tensor

from nalu_export.primitives.record import Primitive


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return ``x`` in another floating point type; ``--compute float64`` does so at the edges of a subgraph."""
    return x.to(dtype)


PRIMITIVES = (Primitive("cast", cast, ("input", "dtype"), kind="cast"),)
