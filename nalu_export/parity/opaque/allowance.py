"""What a rule says of one opaque call."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nalu_export.parity.opaque.call import Call, Error
from nalu_export.primitives.precision import SINGLE, Precision

# Sums of n terms, of which S = Σ|t| and R = √Σt²: whatever the order, they are off by at most (n − 1)·u·S. That takes
# all roundings to be as large as possible and of one sign. Roundings that are independent of each other give an error
# of the order of √n·u·(|Σt| + R): at most 1.4 of these were seen in 10⁷ sums of 9 to 2304 terms of any kind in four
# orders, and three times as much is allowed.
ORDER = 4.0
# Roundings are of one sign where terms are alike: one after the other they meet the same sum. They are taken to be
# independent where the terms differ by several units in the last place of the sum, and by a hundredth, because R may be
# known in float32 only.
ALIKE, APART = 16.0, 1e-4
# Largest error of a σ that a runtime's own kernel computes: it is accurate to a share of 1 and not of its result (ONNX
# Runtime issue 22557), and so are those of fused recurrent layers.
KERNEL = 2.0**-22
# Roundings besides those of the sum: a scale, a bias, a batch norm folded into the weights.
ROUNDINGS = 8.0


@dataclass(frozen=True)
class Allowance:
    """How far off a correct evaluation of one call may be.

    Attributes:
        own: its own error where its inputs are exact; same shape as the result.
        carry: what the errors of the inputs become; ``None`` where there is no formula, so that they are followed by
            perturbed evaluations instead.
        follow: whether to follow the errors instead, where they come from other opaque calls: never, because ``carry``
            does not grow with depth; where that is less, because it averages them; always.
    """

    own: Tensor
    carry: Callable[[Error], Tensor] | None = None
    follow: Literal["never", "less", "always"] = "never"


Rule = Callable[[Call, Tensor, Precision], Allowance | None]


def of_a_sum(terms: float, total: Tensor, size: Tensor, spread: Tensor) -> Tensor:
    """Error of a sum in units of one roundoff: the smaller of what is certain and what independent roundings give.

    Args:
        terms: how many.
        total: ``Σt``.
        size: ``S = Σ|t|``.
        spread: ``R = √Σt²``.
    """
    certain = max(terms - 1.0, 0.0) * size
    likely = ORDER * math.sqrt(terms) * (total.abs() + spread)
    differ = terms * spread**2 - total**2 > max((ALIKE * SINGLE * terms) ** 2, APART) * total**2
    return torch.where(differ, torch.minimum(certain, likely), certain)
