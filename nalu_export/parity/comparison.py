"""The comparison of one runtime's outputs with the reference: a pure function of arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.graph.folding import Compute
from nalu_export.parity.acceptance import ANY, Acceptance, Array, Double, Mask, acceptance, kind_of, rounded
from nalu_export.parity.reference import Expected
from nalu_export.parity.verdict import Status, overall

if TYPE_CHECKING:
    from nalu_export.parity.row import Row


_LARGEST = ("max_ratio", "max_e", "max_ulp", "max_ulp_torch")
_COUNTS = ("outputs", "nonfinite_mismatches", "wrong_zeros", "undetermined")


@dataclass(frozen=True)
class Tolerance:
    """The criterion of a pass: an error within the bound or, if another is set, closeness to PyTorch's float32.

    Attributes:
        compute: the type whose range intermediate values have.
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
        """Whether closeness to PyTorch's float32 output decides."""
        return (self.rtol, self.atol, self.max_ulp) != (None, None, None)

    def __str__(self) -> str:
        if self.max_ulp is not None:
            return f"at most {self.max_ulp} ULP from PyTorch"
        if self.against_torch:
            return f"rtol {self.rtol or 0:g}, atol {self.atol or 0:g} from PyTorch"
        return "bound"


@dataclass(frozen=True)
class Samples:
    """The output with the largest error/bound of each sample.

    Attributes:
        ratio: error/bound, infinite for a mismatch of NaN, infinity or the sign of zero.
        error: ``|out − reference|``.
        bound: the error bound.
        unit: ``u·D``; error divided by unit is E.
        left_out: whether any output of the sample was left out of the comparison.
        output: index of the model's output that holds it.
    """

    ratio: Double
    error: Double
    bound: Double
    unit: Double
    left_out: Mask
    output: NDArray[np.intp]

    @staticmethod
    def none(count: int) -> "Samples":
        """Return the result for a runtime that gave nothing to compare."""
        nan = np.full(count, np.nan)
        return Samples(np.full(count, np.inf), nan, nan, nan, np.zeros(count, np.bool_), np.zeros(count, np.intp))


@dataclass(frozen=True)
class Comparison:
    """The result of one comparison.

    Attributes:
        samples: how many samples the runtime was given.
        outputs: how many numbers it returned.
        max_ratio: largest error/bound.
        max_e: largest ``|out − ref|/(u·D)`` over the finite outputs.
        max_ulp: largest distance from the reference rounded to float32, in float32 steps.
        max_ulp_torch: the same from PyTorch's float32 output.
        nonfinite_mismatches: outputs that are NaN or infinite where the reference is not, or the other way round.
        wrong_zeros: outputs that are −0 where they are surely +0, or the other way round.
        undetermined: outputs that are left out: their bound is infinite, or they are not finite after an intermediate
            overflow, where no digit of a correct result is known.
        status: the verdict.
        each: the result sample by sample.
        problem: a fault that is not in the numbers (a shape, a type), else empty.
        uncompared_outputs: the outputs, by index, of which nothing could be compared.
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
    uncompared_outputs: tuple[int, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether at least one output was compared and none is wrong."""
        return self.status is Status.PASSED


def failed(samples: int, problem: str) -> Comparison:
    """Return the comparison of a runtime that gave nothing to compare."""
    return Comparison(samples, 0, math.inf, math.inf, 0, 0, 0, 0, 0, Status.FAILED, Samples.none(samples), problem)


def compare_all(
    outs: Sequence[NDArray[np.generic]], expected: Sequence[Expected], names: Sequence[str], tolerance: Tolerance
) -> Comparison:
    """Compare all outputs of a runtime with the expected ones, each ``(samples, …)``.

    Args:
        outs: the runtime's outputs.
        expected: the expectation of each output, for the same inputs.
        names: names of the outputs.
        tolerance: the criterion of a pass.
    """
    samples = len(expected[0].reference)
    if len(outs) != len(expected):
        return failed(samples, f"the runtime returned {_count(len(outs))}, expected {len(expected)}")
    for out, wanted, name in zip(outs, expected, names, strict=True):
        # A check runs in float32, whatever type the model itself has.
        dtype = wanted.torch.dtype
        if out.shape != wanted.reference.shape or out.dtype != dtype:
            got, want = f"{out.dtype} {out.shape}", f"{dtype} {wanted.reference.shape}"
            which = "output" if len(outs) == 1 else f"output {name}"
            return failed(samples, f"{which} is {got}, expected {want}")
    return _merged([compare(out, wanted, tolerance) for out, wanted in zip(outs, expected, strict=True)])


def _count(outputs: int) -> str:
    return f"{outputs} output{'' if outputs == 1 else 's'}"


def together(parts: "Sequence[Comparison | Row]") -> dict[str, Any]:
    """The figures and the status of several comparisons or rows, at least one, by the names of the fields."""
    largest = {name: max(getattr(part, name) for part in parts) for name in _LARGEST}
    counts = {name: sum(getattr(part, name) for part in parts) for name in _COUNTS}
    return largest | counts | {"status": overall(part.status for part in parts)}


def _merged(parts: Sequence[Comparison]) -> Comparison:
    """Merge the comparisons of all outputs into one."""
    if len(parts) == 1:
        return parts[0]
    ratios = np.stack([part.each.ratio for part in parts])
    output = ratios.argmax(axis=0)
    samples = np.arange(ratios.shape[1])
    names = ("ratio", "error", "bound", "unit")
    ratio, error, bound, unit = (
        np.stack([getattr(part.each, name) for part in parts])[output, samples] for name in names
    )
    left_out = np.any([part.each.left_out for part in parts], axis=0)
    return Comparison(
        samples=parts[0].samples,
        **together(parts),
        each=Samples(ratio, error, bound, unit, left_out, output),
        uncompared_outputs=tuple(place for place, part in enumerate(parts) if part.status is Status.NOTHING),
    )


def compare(out: NDArray[np.generic], expected: Expected, tolerance: Tolerance) -> Comparison:
    """Compare one output of a runtime with the expected one, which has the same shape.

    Args:
        out: the runtime's output, ``(samples, …)``; integers and truth values have to be exact.
        expected: reference, bound and PyTorch's output for the same inputs.
        tolerance: the criterion of a pass.
    """
    if out.dtype.kind in "iub":
        return _exact(out, expected)
    single: Array = out.astype(np.float32)
    eager: Array = expected.torch.astype(np.float32)
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
        wrong, left_out = _beyond_torch(single, eager, tolerance), np.zeros(ratio.shape, np.bool_)
    else:
        wrong, left_out = ~(ratio <= 1.0), undetermined | _excused(single, reference, accepted)
    return Comparison(
        samples=len(out),
        outputs=out.size,
        max_ratio=float(ratio.max(initial=0.0)),
        max_e=float(e.max(initial=0.0)),
        max_ulp=_max_ulp(single, reference, ~left_out),
        max_ulp_torch=_max_ulp(single, eager, ~left_out),
        nonfinite_mismatches=int(mismatch.sum()),
        wrong_zeros=int(wrong_zero.sum()),
        undetermined=int((left_out & ~wrong).sum()),
        status=_status(wrong, left_out),
        each=_each(ratio, error, expected, left_out),
    )


def _exact(out: NDArray[np.generic], expected: Expected) -> Comparison:
    """Compare integers or truth values."""
    error = _error(out.astype(np.float64), expected.reference)
    left_out: Mask = ~np.isfinite(expected.bound)
    ratio = np.where((error > 0) & ~left_out, np.inf, 0.0)
    wrong: Mask = ratio > 0
    return Comparison(
        samples=len(out),
        outputs=out.size,
        max_ratio=float(ratio.max(initial=0.0)),
        max_e=0.0,
        max_ulp=0,
        max_ulp_torch=0,
        nonfinite_mismatches=0,
        wrong_zeros=0,
        undetermined=int(left_out.sum()),
        status=_status(wrong, left_out),
        each=_each(ratio, error, expected, left_out),
    )


def _status(wrong: Mask, left_out: Mask) -> Status:
    if bool(wrong.any()):
        return Status.FAILED
    return Status.NOTHING if bool(left_out.all()) else Status.PASSED


def _excused(out: Array, reference: Array, accepted: Acceptance) -> Mask:
    """Return the outputs that pass without a comparison: not finite, not of the reference's kind, any kind accepted."""
    excused: Mask = (accepted.kind == ANY) & ~np.isfinite(out) & (kind_of(out) != kind_of(reference))
    return excused


def _each(ratio: Double, error: Double, expected: Expected, left_out: Mask) -> Samples:
    if ratio.size == 0:
        return Samples(*(np.zeros(len(ratio)),) * 4, np.zeros(len(ratio), np.bool_), np.zeros(len(ratio), np.intp))
    flat = ratio.reshape(len(ratio), -1)
    rows, picks = np.arange(len(flat)), flat.argmax(axis=1)

    def picked(values: Double) -> Double:
        found: Double = values.reshape(len(flat), -1)[rows, picks]
        return found

    some: Mask = np.asarray(left_out.reshape(len(flat), -1).any(axis=1))
    parts = (picked(ratio), picked(error), picked(expected.bound), picked(expected.unit))
    return Samples(*parts, some, np.zeros(len(flat), np.intp))


def _error(out: Array, reference: Double) -> Double:
    with np.errstate(invalid="ignore"):
        error: Double = np.abs(out - reference)
    return error


def _ratio(error: Double, of: Double, where: Mask) -> Double:
    """Return ``error / of``, infinite for any error where ``of`` is 0; 0 outside ``where``."""
    ratio = np.zeros(error.shape)
    with np.errstate(divide="ignore"):
        np.divide(error, of, out=ratio, where=where & (error > 0))
    return ratio


def _beyond_torch(out: Array, eager: Array, tolerance: Tolerance) -> Mask:
    both = np.isfinite(out) & np.isfinite(eager)
    wanted = eager.astype(np.float64)
    with np.errstate(invalid="ignore"):
        if tolerance.max_ulp is not None:
            far: Mask = _steps(out, eager) > tolerance.max_ulp
        else:
            far = np.abs(out - wanted) > (tolerance.atol or 0.0) + (tolerance.rtol or 0.0) * np.abs(wanted)
    beyond: Mask = (both & far) | (kind_of(out) != kind_of(eager))
    return beyond


def _max_ulp(a: Array, b: Array, where: Mask) -> int:
    both = where & np.isfinite(a) & np.isfinite(b)
    return int(_steps(a[both], b[both]).max(initial=0))


def _steps(a: Array, b: Array) -> NDArray[np.int64]:
    steps: NDArray[np.int64] = np.abs(_ordered(a) - _ordered(b))
    return steps


def _ordered(x: Array) -> NDArray[np.int64]:
    """Number float32 values in ascending order, so that neighbours differ by 1 and −0 equals +0."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
