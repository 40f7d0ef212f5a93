"""The error allowed to one opaque op, as a rule gives it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nalu_export.parity.opaque.call import Call, Error
from nalu_export.primitives.precision import SINGLE, Precision

# For a sum of n terms let S = Σ|t| and R = √Σt². In any order its error is at most (n − 1)·u·S; this worst case needs
# all roundings to be as large as possible and of one sign. Independent roundings give an error of the order of
# √n·u·(|Σt| + R): the largest error seen in 10⁷ sums of 9 to 2304 terms of any kind in four orders was 1.4 times this;
# about three times as much is allowed.
ORDER = 4.0
# Roundings have one sign where terms are nearly equal, because each meets the same partial sums. They are taken to be
# independent where the terms differ by several units in the last place of the sum, and by a hundredth, because R may be
# known in float32 only.
ALIKE, APART = 16.0, 1e-4
# Largest error of a σ that a runtime's own kernel computes: it is accurate relative to 1 and not to its result (ONNX
# Runtime issue 22557); so are the σ of fused recurrent layers.
KERNEL = 2.0**-22
# Roundings besides those of the sum: a scale, a bias, a batch norm folded into the weights.
ROUNDINGS = 8.0


@dataclass(frozen=True)
class Allowance:
    """The largest error of a correct evaluation of one call.

    Attributes:
        own: the error with exact inputs; same shape as the result.
        carry: maps the errors of the inputs to an error of the result; ``None`` if there is no formula, so that
            perturbed evaluations are used instead.
        follow: whether perturbed evaluations replace ``carry`` for errors that come from other opaque calls: "never"
            if ``carry`` does not grow with depth; "less" for the smaller of both, because the call averages errors;
            "always".
    """

    own: Tensor
    carry: Callable[[Error], Tensor] | None = None
    follow: Literal["never", "less", "always"] = "never"


Rule = Callable[[Call, Tensor, Precision], Allowance | None]


def of_a_sum(terms: float, total: Tensor, size: Tensor, spread: Tensor) -> Tensor:
    """Return the error of a sum in roundoffs: the worst case, or the estimate for independent roundings if smaller.

    Args:
        terms: number of terms.
        total: ``Σt``.
        size: ``S = Σ|t|``.
        spread: ``R = √Σt²``.
    """
    certain = max(terms - 1.0, 0.0) * size
    likely = ORDER * math.sqrt(terms) * (total.abs() + spread)
    differ = terms * spread**2 - total**2 > max((ALIKE * SINGLE * terms) ** 2, APART) * total**2
    return torch.where(differ, torch.minimum(certain, likely), certain)
