"""The additional error of convolutions that are computed as products of transformed tiles."""

import math
from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from nalu_export.primitives.precision import Precision

# Winograd's minimal filtering F(2×2, 3×3) and F(4×4, 3×3) (Lavin and Gray 2016, arXiv 1509.09308, section 4), which
# cuDNN uses for 3×3 convolutions of float32: an output is a combination of the transformed numbers of its whole tile.
# Its error is of the order of their roundoff, also where they cancel (Barabasz, Anderson, Soodhalter and Gregg 2020,
# Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks, arXiv 1803.10986). Both
# were evaluated in float32, 1190 convolutions of 1 to 128 channels of seven kinds of images. Let R = √Σ(w·m)², where m
# is the largest |x| of the tiles that may hold an output. No error was more than 25·√n·u·(|Σt| + R). Three times that
# is allowed.
TILES = 75.0
# An output may be anywhere in a tile of 4×4; its inputs are up to four positions away.
REACH = 4


def in_tiles(
    precision: Precision,
    terms: float,
    value: Tensor,
    apply: Callable[[Tensor, Tensor], Tensor],
    inputs: Tensor,
    weights: Tensor,
) -> Tensor:
    """Return the error that the transforms of a 3×3 convolution may add.

    Args:
        precision: the precision of the evaluation.
        terms: n, products in one output.
        value: Σt, the result; ``(N, O, H, W)``.
        apply: the convolution without its bias, as a function of input and weights.
        inputs: bounds of |x|; ``(N, C, H, W)`` or ``(C, H, W)``.
        weights: bounds of |w|.
    """
    near = F.max_pool2d(inputs, 2 * REACH + 1, stride=1, padding=REACH)
    spread = apply(near * near, weights * weights).clamp(min=0.0).sqrt()
    return TILES * math.sqrt(terms) * precision.addition * (value.abs() + spread)
