"""Which outputs pass: an interval around the reference, and the accepted kinds of non-finite outputs."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nalu_export.graph.folding import Compute
from nalu_export.parity.reference import Expected
from nalu_export.primitives.conditioned import LARGEST

Array = NDArray[np.float32]
Double = NDArray[np.float64]
Mask = NDArray[np.bool_]
Kinds = NDArray[np.uint8]

# Kinds of outputs; a finite number is 0. ANY occurs in Acceptance.kind only: every non-finite output passes.
NAN, PLUS_INF, MINUS_INF, ANY = 1, 2, 3, 4


@dataclass(frozen=True)
class Acceptance:
    """Which outputs pass, without regard to the signs of zeros.

    A finite output passes if it is within ``bound`` of the reference, or if ``bound`` is infinite. An output that is
    not finite passes if ``kind`` is its kind or :data:`ANY`.

    Attributes:
        bound: largest accepted error of a finite output.
        kind: accepted kind of a non-finite output: 0 none, 1 NaN, 2 ``+inf``, 3 ``−inf``, 4 all three.
    """

    bound: Double
    kind: Kinds

    def of(self, out: Array, error: Double) -> Mask:
        """Return whether each output passes, given its distance from the reference."""
        with np.errstate(invalid="ignore"):
            near: Mask = (error <= self.bound) | np.isposinf(self.bound)
        passes: Mask = np.where(np.isfinite(out), near, (self.kind == ANY) | (self.kind == kind_of(out)))
        return passes


def acceptance(expected: Expected, compute: Compute) -> Acceptance:
    """Return which outputs pass in an evaluation whose arithmetic type is ``compute``."""
    overflow = expected.overflow >= (2 if compute == "float64" else 1)
    undetermined = ~np.isfinite(expected.bound)
    kind = kind_of(rounded(expected.reference))
    side = np.where(expected.reference > 0, PLUS_INF, MINUS_INF).astype(np.uint8)
    kind = np.where(_borderline(expected), side, kind)
    # After an intermediate overflow, as in inf − inf or inf·0, the order of a sum decides between NaN and the two
    # infinities. A result may then be non-finite where PyTorch's float32 is, or finite where the reference is not.
    kind[undetermined | (overflow & ~np.isfinite(expected.torch))] = ANY
    bound = np.where(undetermined | (overflow & ~np.isfinite(expected.reference)), np.inf, expected.bound)
    return Acceptance(bound, kind)


def _borderline(expected: Expected) -> Mask:
    """Return where the reference is so near the largest float32 that rounding decides between a number and infinity."""
    magnitude, margin = np.abs(expected.reference), expected.bound
    with np.errstate(over="ignore", invalid="ignore"):
        near: Mask = (magnitude + margin > LARGEST) & (magnitude - margin <= LARGEST) & (magnitude > 0)
    return near


def kind_of(x: NDArray[np.floating]) -> Kinds:
    """Return the kind of each element: 0 finite, 1 NaN, 2 +inf, 3 −inf."""
    kind = np.zeros(x.shape, np.uint8)
    kind[np.isnan(x)], kind[np.isposinf(x)], kind[np.isneginf(x)] = NAN, PLUS_INF, MINUS_INF
    return kind


def rounded(reference: Double) -> Array:
    """Return the reference in float32."""
    with np.errstate(over="ignore"):
        found: Array = reference.astype(np.float32)
    return found
