"""Which outputs pass: an interval around the reference, and the kinds of those that are not finite."""

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

# Kinds of outputs: a finite number is 0; in Acceptance.kind, anything that is not finite passes.
NAN, PLUS_INF, MINUS_INF, ANY = 1, 2, 3, 4


@dataclass(frozen=True)
class Acceptance:
    """Which outputs pass, the signs of zeros apart.

    A finite output passes where it is within ``bound`` of the reference, and where ``bound`` is infinite. One that is
    not finite passes where ``kind`` is its kind or :data:`ANY`.

    Attributes:
        bound: what the error of a finite output may be.
        kind: of the other outputs that pass: 0 none, 1 NaN, 2 ``+inf``, 3 ``−inf``, 4 all three.
    """

    bound: Double
    kind: Kinds

    def of(self, out: Array, error: Double) -> Mask:
        """Whether each output passes, given how far it is from the reference."""
        with np.errstate(invalid="ignore"):
            near: Mask = (error <= self.bound) | np.isposinf(self.bound)
        passes: Mask = np.where(np.isfinite(out), near, (self.kind == ANY) | (self.kind == kind_of(out)))
        return passes


def acceptance(expected: Expected, compute: Compute) -> Acceptance:
    """Which outputs pass in an evaluation whose arithmetic part is ``compute``."""
    overflow = expected.overflow >= (2 if compute == "float64" else 1)
    undetermined = ~np.isfinite(expected.bound)
    kind = kind_of(rounded(expected.reference))
    side = np.where(expected.reference > 0, PLUS_INF, MINUS_INF).astype(np.uint8)
    kind = np.where(_borderline(expected), side, kind)
    # Past an overflow on the way, inf − inf or inf·0, the order of a sum decides between NaN and the two infinities.
    # There a result may be non-finite where PyTorch's float32 is, or do better than the reference and be a number.
    kind[undetermined | (overflow & ~np.isfinite(expected.torch))] = ANY
    bound = np.where(undetermined | (overflow & ~np.isfinite(expected.reference)), np.inf, expected.bound)
    return Acceptance(bound, kind)


def _borderline(expected: Expected) -> Mask:
    """Where the reference is so near the largest float32 that rounding decides between that and infinity."""
    magnitude, margin = np.abs(expected.reference), expected.bound
    with np.errstate(over="ignore", invalid="ignore"):
        near: Mask = (magnitude + margin > LARGEST) & (magnitude - margin <= LARGEST) & (magnitude > 0)
    return near


def kind_of(x: NDArray[np.floating]) -> Kinds:
    """0 for finite, 1 for NaN, 2 for +inf, 3 for −inf."""
    kind = np.zeros(x.shape, np.uint8)
    kind[np.isnan(x)], kind[np.isposinf(x)], kind[np.isneginf(x)] = NAN, PLUS_INF, MINUS_INF
    return kind


def rounded(reference: Double) -> Array:
    """The reference in float32."""
    with np.errstate(over="ignore"):
        found: Array = reference.astype(np.float32)
    return found
