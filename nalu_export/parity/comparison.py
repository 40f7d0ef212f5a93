"""The comparison of one runtime's outputs with the reference: a pure function of arrays."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nalu_export.parity.conditioned import LARGEST, MARGIN
from nalu_export.parity.reference import Expected
from nalu_export.weights import Compute

Array = NDArray[np.float32]


def limit(compute: Compute, terms: int, lost_terms: int = 0, *, own_weights: bool = False) -> float:
    """The largest E of a correct evaluation.

    float32: ``5 + √terms/2 + lost_terms/2``. A layer is about five operations deep, one roundoff each; the rounding
    errors of a sum walk randomly and grow with the square root of its length (Higham and Mary, A New Approach to
    Probabilistic Rounding Error Analysis, SIAM J. Sci. Comput. 41(5), 2019), but a product below half a step of the
    sum is lost each time, in one direction. float64: the one rounding of the output, 1.

    Args:
        compute: the type of the arithmetic part.
        terms: the longest sum in the arithmetic part.
        lost_terms: how many of its products may be lost.
        own_weights: the effective weights are computed in float32 as well (tanh, exp, add, division, product), as
            PyTorch does it: five more.
    """
    if compute == "float64":
        return 1.0
    return 5.0 + math.sqrt(terms) / 2 + lost_terms / 2 + (5.0 if own_weights else 0.0)


@dataclass(frozen=True)
class Tolerance:
    """What passes: ``E ≤ limit`` against the reference or, where ``rtol`` or ``atol`` is given, nearness to PyTorch.

    Attributes:
        limit: largest E.
        compute: the type whose range values on the way have.
        rtol: relative to the magnitude of PyTorch's float32 output.
        atol: absolute, in the unit of the output.
    """

    limit: float
    compute: Compute = "float32"
    rtol: float | None = None
    atol: float | None = None

    @property
    def against_torch(self) -> bool:
        """Whether PyTorch's float32 output is what decides."""
        return self.rtol is not None or self.atol is not None


@dataclass(frozen=True)
class Comparison:
    """What one comparison found.

    Attributes:
        samples: how many samples were compared; never 0 in a pass.
        max_e: largest ``|out − ref|/(u·D)`` over the finite outputs.
        max_ulp: largest distance from the reference rounded to float32, in float32 steps.
        max_ulp_torch: the same from PyTorch's float32 output.
        nonfinite_mismatches: outputs that are NaN or infinite where they should not be, or the other way round.
        undetermined: outputs of which float32 determines no digit, because something on the way to them overflows;
            they are left out.
        passed: the verdict.
        worst: index of the sample with the largest E, or of the first mismatch.
        problem: what is wrong when it is not the numbers (a shape, a type), else empty.
    """

    samples: int
    max_e: float
    max_ulp: int
    max_ulp_torch: int
    nonfinite_mismatches: int
    undetermined: int
    passed: bool
    worst: int
    problem: str = ""


def failed(samples: int, problem: str) -> Comparison:
    """The comparison of a runtime that gave nothing to compare."""
    return Comparison(samples, math.inf, 0, 0, 0, 0, False, 0, problem)


def compare(out: NDArray[np.generic], expected: Expected, tolerance: Tolerance) -> Comparison:
    """Compare a runtime's output with what is expected of it.

    Args:
        out: ``(samples, …)`` float32, from the runtime.
        expected: reference, ``D`` and PyTorch's output for the same inputs.
        tolerance: what passes.
    """
    if out.shape != expected.reference.shape or out.dtype != np.float32:
        got, want = f"{out.dtype} {out.shape}", f"float32 {expected.reference.shape}"
        return failed(len(expected.reference), f"output is {got}, expected {want}")
    single: Array = out.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        reference: Array = expected.reference.astype(np.float32)
    overflow = expected.overflow >= (2 if tolerance.compute == "float64" else 1)
    undetermined = overflow & ~np.isfinite(expected.error)
    # Past an overflow on the way, inf − inf or inf·0, the order of a sum decides between NaN and the two infinities.
    # There a result may be non-finite where PyTorch's float32 is, or do better.
    excused = overflow & (~np.isfinite(expected.torch) | np.isfinite(single))
    mismatch = (_kind(single) != _kind(reference)) & ~excused & ~undetermined & ~_borderline(single, expected)
    finite = np.isfinite(single) & np.isfinite(expected.reference) & ~undetermined
    with np.errstate(invalid="ignore"):
        e = _ratio(np.abs(single - expected.reference), expected.error, finite)
    wrong = mismatch | (_beyond_torch(single, expected, tolerance) if tolerance.against_torch else e > tolerance.limit)
    order = np.where(mismatch, np.inf, e).max(axis=tuple(range(1, out.ndim)), initial=0.0)
    return Comparison(
        samples=len(out),
        max_e=float(e.max(initial=0.0)),
        max_ulp=_max_ulp(single, reference),
        max_ulp_torch=_max_ulp(single, expected.torch),
        nonfinite_mismatches=int(mismatch.sum()),
        undetermined=int(undetermined.sum()),
        passed=len(out) > 0 and not bool(wrong.any()),
        worst=int(order.argmax()) if len(order) else 0,
    )


def _borderline(out: Array, expected: Expected) -> NDArray[np.bool_]:
    """Where the reference is so near the largest float32 that rounding decides between that and infinity."""
    magnitude, margin = np.abs(expected.reference), MARGIN * expected.error
    with np.errstate(invalid="ignore"):
        near: NDArray[np.bool_] = (magnitude + margin > LARGEST) & (magnitude - margin <= LARGEST)
        same_side: NDArray[np.bool_] = np.sign(out) == np.sign(expected.reference)
    excused: NDArray[np.bool_] = near & (np.isfinite(out) | (np.isinf(out) & same_side))
    return excused


def _kind(x: NDArray[np.floating]) -> NDArray[np.int8]:
    """0 for finite, 1 for NaN, 2 for +inf, 3 for −inf."""
    kind = np.zeros(x.shape, np.int8)
    kind[np.isnan(x)], kind[np.isposinf(x)], kind[np.isneginf(x)] = 1, 2, 3
    return kind


def _ratio(
    difference: NDArray[np.float64], error: NDArray[np.float64], where: NDArray[np.bool_]
) -> NDArray[np.float64]:
    ratio = np.zeros(difference.shape)
    np.divide(difference, error, out=ratio, where=where & (difference > 0))
    return ratio


def _beyond_torch(out: Array, expected: Expected, tolerance: Tolerance) -> NDArray[np.bool_]:
    both = np.isfinite(out) & np.isfinite(expected.torch)
    wanted = expected.torch.astype(np.float64)
    allowed = (tolerance.atol or 0.0) + (tolerance.rtol or 0.0) * np.abs(wanted)
    with np.errstate(invalid="ignore"):
        far: NDArray[np.bool_] = np.abs(out - wanted) > allowed
    beyond: NDArray[np.bool_] = (both & far) | (_kind(out) != _kind(expected.torch))
    return beyond


def _max_ulp(a: Array, b: Array) -> int:
    both = np.isfinite(a) & np.isfinite(b)
    if not bool(both.any()):
        return 0
    return int(np.abs(_ordered(a[both]) - _ordered(b[both])).max())


def _ordered(x: Array) -> NDArray[np.int64]:
    """float32 numbered in their order, so that neighbours differ by 1 and −0 equals +0."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
