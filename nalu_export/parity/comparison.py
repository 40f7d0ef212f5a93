"""The comparison of one runtime's outputs with the reference: a pure function of arrays."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nalu_export.parity.acceptance import ANY, Acceptance, Array, Double, Mask, acceptance, kind_of, rounded
from nalu_export.parity.reference import Expected
from nalu_export.parity.verdict import Status
from nalu_export.weights import Compute


@dataclass(frozen=True)
class Tolerance:
    """What passes: an error within the bound or, where one of the others is given, nearness to PyTorch's float32.

    Attributes:
        compute: the type whose range values on the way have.
        rtol: relative to the magnitude of PyTorch's float32 output.
        atol: absolute, in the unit of the output.
        max_ulp: in float32 steps.
    """

    compute: Compute = "float32"
    rtol: float | None = None
    atol: float | None = None
    max_ulp: int | None = None

    @property
    def against_torch(self) -> bool:
        """Whether PyTorch's float32 output is what decides."""
        return (self.rtol, self.atol, self.max_ulp) != (None, None, None)

    def __str__(self) -> str:
        if self.max_ulp is not None:
            return f"at most {self.max_ulp} ULP from PyTorch"
        if self.against_torch:
            return f"rtol {self.rtol or 0:g}, atol {self.atol or 0:g} from PyTorch"
        return "bound"


@dataclass(frozen=True)
class Samples:
    """For each sample the output with the largest error over its bound.

    Attributes:
        ratio: error over bound, infinite for a mismatch of NaN, infinity or the sign of zero.
        error: ``|out − reference|``.
        bound: what it may be.
        unit: ``u·D``: error over unit is E.
        left_out: whether any output of the sample was left out of the comparison.
    """

    ratio: Double
    error: Double
    bound: Double
    unit: Double
    left_out: Mask

    @staticmethod
    def none(count: int) -> "Samples":
        """Of a runtime that gave nothing to compare."""
        nan = np.full(count, np.nan)
        return Samples(np.full(count, np.inf), nan, nan, nan, np.zeros(count, np.bool_))


@dataclass(frozen=True)
class Comparison:
    """What one comparison found.

    Attributes:
        samples: how many samples the runtime was given.
        outputs: how many numbers it gave.
        max_ratio: largest error over its bound.
        max_e: largest ``|out − ref|/(u·D)`` over the finite outputs.
        max_ulp: largest distance from the reference rounded to float32, in float32 steps.
        max_ulp_torch: the same from PyTorch's float32 output.
        nonfinite_mismatches: outputs that are NaN or infinite where they should not be, or the other way round.
        wrong_zeros: outputs that are −0 where they are surely +0, or the other way round.
        undetermined: outputs that are left out: their bound is infinite, or they are not finite after an overflow on
            the way to them, where no digit of a correct result is known.
        status: the verdict.
        each: sample by sample.
        problem: what is wrong when it is not the numbers (a shape, a type), else empty.
    """

    samples: int
    outputs: int
    max_ratio: float
    max_e: float
    max_ulp: int
    max_ulp_torch: int
    nonfinite_mismatches: int
    wrong_zeros: int
    undetermined: int
    status: Status
    each: Samples
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether at least one output was compared and none is wrong."""
        return self.status is Status.PASSED


def failed(samples: int, problem: str) -> Comparison:
    """The comparison of a runtime that gave nothing to compare."""
    return Comparison(samples, 0, math.inf, math.inf, 0, 0, 0, 0, 0, Status.FAILED, Samples.none(samples), problem)


def compare(out: NDArray[np.generic], expected: Expected, tolerance: Tolerance) -> Comparison:
    """Compare a runtime's output with what is expected of it.

    Args:
        out: ``(samples, …)`` float32, from the runtime.
        expected: reference, bound and PyTorch's output for the same inputs.
        tolerance: what passes.
    """
    if out.shape != expected.reference.shape or out.dtype != np.float32:
        got, want = f"{out.dtype} {out.shape}", f"float32 {expected.reference.shape}"
        return failed(len(expected.reference), f"output is {got}, expected {want}")
    single: Array = out.astype(np.float32)
    reference = rounded(expected.reference)
    error = _error(single, expected.reference)
    undetermined: Mask = ~np.isfinite(expected.bound)
    accepted = acceptance(expected, tolerance.compute)
    passes = accepted.of(single, error)
    mismatch: Mask = ~passes & ~(np.isfinite(single) & np.isfinite(reference))
    wrong_zero: Mask = (expected.zero != 0) & (single == 0) & (np.signbit(single) != (expected.zero < 0))
    finite = np.isfinite(single) & np.isfinite(expected.reference) & ~undetermined
    ratio = _ratio(error, expected.bound, finite)
    e = _ratio(error, expected.unit, finite)
    ratio[mismatch | wrong_zero] = np.inf
    if tolerance.against_torch:
        wrong, left_out = _beyond_torch(single, expected, tolerance), np.zeros(ratio.shape, np.bool_)
    else:
        wrong, left_out = ~(ratio <= 1.0), undetermined | _excused(single, reference, accepted)
    return Comparison(
        samples=len(out),
        outputs=out.size,
        max_ratio=float(ratio.max(initial=0.0)),
        max_e=float(e.max(initial=0.0)),
        max_ulp=_max_ulp(single, reference, ~left_out),
        max_ulp_torch=_max_ulp(single, expected.torch, ~left_out),
        nonfinite_mismatches=int(mismatch.sum()),
        wrong_zeros=int(wrong_zero.sum()),
        undetermined=int((left_out & ~wrong).sum()),
        status=_status(wrong, left_out),
        each=_each(ratio, error, expected, left_out),
    )


def _status(wrong: Mask, left_out: Mask) -> Status:
    if bool(wrong.any()):
        return Status.FAILED
    return Status.NOTHING if bool(left_out.all()) else Status.PASSED


def _excused(out: Array, reference: Array, accepted: Acceptance) -> Mask:
    """Outputs that pass although they are not finite and not of the reference's kind: nothing was asked of them."""
    excused: Mask = (accepted.kind == ANY) & ~np.isfinite(out) & (kind_of(out) != kind_of(reference))
    return excused


def _each(ratio: Double, error: Double, expected: Expected, left_out: Mask) -> Samples:
    if ratio.size == 0:
        return Samples.none(0)
    flat = ratio.reshape(len(ratio), -1)
    rows, picks = np.arange(len(flat)), flat.argmax(axis=1)

    def picked(values: Double) -> Double:
        found: Double = values.reshape(len(flat), -1)[rows, picks]
        return found

    some: Mask = np.asarray(left_out.reshape(len(flat), -1).any(axis=1))
    return Samples(picked(ratio), picked(error), picked(expected.bound), picked(expected.unit), some)


def _error(out: Array, reference: Double) -> Double:
    with np.errstate(invalid="ignore"):
        error: Double = np.abs(out - reference)
    return error


def _ratio(error: Double, of: Double, where: Mask) -> Double:
    """``error / of``; infinite where something is off that must be exact."""
    ratio = np.zeros(error.shape)
    with np.errstate(divide="ignore"):
        np.divide(error, of, out=ratio, where=where & (error > 0))
    return ratio


def _beyond_torch(out: Array, expected: Expected, tolerance: Tolerance) -> Mask:
    both = np.isfinite(out) & np.isfinite(expected.torch)
    wanted = expected.torch.astype(np.float64)
    with np.errstate(invalid="ignore"):
        if tolerance.max_ulp is not None:
            far: Mask = _steps(out, expected.torch) > tolerance.max_ulp
        else:
            far = np.abs(out - wanted) > (tolerance.atol or 0.0) + (tolerance.rtol or 0.0) * np.abs(wanted)
    beyond: Mask = (both & far) | (kind_of(out) != kind_of(expected.torch))
    return beyond


def _max_ulp(a: Array, b: Array, where: Mask) -> int:
    both = where & np.isfinite(a) & np.isfinite(b)
    return int(_steps(a[both], b[both]).max(initial=0))


def _steps(a: Array, b: Array) -> NDArray[np.int64]:
    steps: NDArray[np.int64] = np.abs(_ordered(a) - _ordered(b))
    return steps


def _ordered(x: Array) -> NDArray[np.int64]:
    """float32 numbered in their order, so that neighbours differ by 1 and −0 equals +0."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
