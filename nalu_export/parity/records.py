"""The records of a report: rows, runtimes, worst inputs, first divergences, curves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nalu_export.parity import wording
from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Comparison
from nalu_export.parity.verdict import Status, overall

# Rows that are not an input distribution: the weights and intermediate values that a runtime shows, and a fault that is
# the same for all inputs.
INTERMEDIATE = "intermediate values"
EVERY_INPUT = "every input"
# A file that contradicts its own metadata.
METADATA = "metadata"


def inputs(family: str) -> str:
    """Return ``inputs zeros`` for the distribution ``zeros``; other rows keep their name."""
    return family if family in (INTERMEDIATE, EVERY_INPUT, METADATA) else f"inputs {family}"


@dataclass(frozen=True)
class Row:
    """One runtime on one input distribution.

    Attributes:
        runtime: name of the runtime.
        family: name of the input distribution.
        samples: samples run.
        outputs: numbers in the outputs of these samples.
        max_ratio: largest error/bound; at most 1 if the row passes by the bound.
        max_e: largest E, see :mod:`nalu_export.parity.analysis`.
        max_ulp: largest distance from the reference, in float32 steps.
        max_ulp_torch: largest distance from PyTorch's float32 output, in float32 steps.
        nonfinite_mismatches: outputs that are NaN or infinite where the reference is not, or the other way round.
        wrong_zeros: outputs that are −0 where they are surely +0, or the other way round.
        undetermined: outputs that were left out of the comparison.
        status: the verdict.
        problem: a fault that is not in the numbers, else empty.
        reasons: why outputs were left out, the most frequent reason first.
        silent: if the model has several outputs, the names of those of which nothing could be compared.
    """

    runtime: str
    family: str
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
    problem: str = ""
    reasons: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether at least one number was compared and none is wrong."""
        return self.status == Status.PASSED

    @property
    def failed(self) -> bool:
        """Whether something is wrong; a row that compared nothing has neither passed nor failed."""
        return self.status == Status.FAILED

    def wrong(self, verdict: str) -> str:
        """Return what is wrong with a failed row, in one line; ``verdict`` is that of its report."""
        return wording.wrong(self, verdict)

    def left_out(self) -> str:
        """Return how many outputs were left out and why, in one line; empty if none was."""
        return wording.left_out(self)


@dataclass(frozen=True)
class RuntimeInfo:
    """A runtime that ran.

    Attributes:
        name: as the command line spells it.
        where: device and library, one line.
        details: library, device, driver, provider and options, by name.
        decisive: whether its rows decide the verdict; the rows of other runtimes are shown for comparison.
        remarks: where it computes differently from the file, with the reason.
    """

    name: str
    where: str
    details: dict[str, str]
    decisive: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worst:
    """The input with the largest error/bound of one runtime.

    Attributes:
        runtime: name of the runtime.
        family: the input distribution that the input comes from.
        ratio: error/bound, infinite for a mismatch of NaN or infinity.
        inputs: the sample by the names of the inputs, without the batch axis.
        output: name of the worst output.
        out: the runtime's output.
        reference: the expected output, in float64.
        bound: the error bound of each number of the output.
        torch: PyTorch's float32 output.
    """

    runtime: str
    family: str
    ratio: float
    inputs: dict[str, NDArray[np.generic]]
    output: str
    out: NDArray[np.generic]
    reference: NDArray[np.float64]
    bound: NDArray[np.float64]
    torch: NDArray[np.generic]

    @property
    def batch(self) -> Batch:
        """The input as a batch of one."""
        return Batch(tuple(array[None] for array in self.inputs.values()))


@dataclass(frozen=True)
class Break:
    """The first divergence: the first value that leaves its bound, for the worst input of one runtime.

    Attributes:
        runtime: name of the runtime.
        value: dotted name of the value, ``layers.0.m``; empty if every intermediate value is within its bound.
        formula: how the value is computed, ``exp(linear)``.
        index: index of the element, without the batch axis.
        got: the runtime's value.
        expected: the reference's value.
        bound: the error bound.
        reason: why no value can be named, else empty.
    """

    runtime: str
    value: str = ""
    formula: str = ""
    index: tuple[int, ...] = ()
    got: float = math.nan
    expected: float = math.nan
    bound: float = math.nan
    reason: str = ""

    def __str__(self) -> str:
        if not self.value:
            return self.reason
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        return (
            f"first wrong value: {self.value}{place} = {self.formula} is {self.got:.9g}, "
            f"expected {self.expected:.9g} ± {self.bound:.2g}"
        )


@dataclass(frozen=True)
class Curve:
    """Error against the size of the input: for each bin, the output with the largest error/bound.

    Attributes:
        runtime: name of the runtime.
        magnitude: largest ``|x|`` of the sample, ascending; 0 for an all-zero sample.
        error: ``|out − reference|``, infinite for a mismatch of NaN or infinity.
        bound: the error bound.
        unit: ``u·D`` of that output: ``error / unit`` is E.
    """

    runtime: str
    magnitude: tuple[float, ...]
    error: tuple[float, ...]
    bound: tuple[float, ...]
    unit: tuple[float, ...]


def merge(
    runtime: str,
    family: str,
    parts: Sequence[Comparison | Row],
    reasons: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> Row:
    """Merge the comparisons of an input distribution, or several rows, into one row.

    Args:
        runtime: name of the runtime.
        family: name of the row.
        parts: at least one.
        reasons: why outputs were left out, besides the reasons in ``parts``.
        outputs: names of the model's outputs, in the order in which a comparison numbers them.
    """
    said = [reason for part in parts if isinstance(part, Row) for reason in part.reasons]
    return Row(
        runtime=runtime,
        family=family,
        samples=sum(part.samples for part in parts),
        outputs=sum(part.outputs for part in parts),
        max_ratio=max(part.max_ratio for part in parts),
        max_e=max(part.max_e for part in parts),
        max_ulp=max(part.max_ulp for part in parts),
        max_ulp_torch=max(part.max_ulp_torch for part in parts),
        nonfinite_mismatches=sum(part.nonfinite_mismatches for part in parts),
        wrong_zeros=sum(part.wrong_zeros for part in parts),
        undetermined=sum(part.undetermined for part in parts),
        status=overall(part.status for part in parts),
        problem=next((part.problem for part in parts if part.problem), ""),
        reasons=tuple(dict.fromkeys((*reasons, *said))),
        silent=_silent(parts, outputs),
    )


def _silent(parts: Sequence[Comparison | Row], outputs: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs of which no part could compare anything."""
    each = [
        part.silent if isinstance(part, Row) else tuple(outputs[place] for place in part.silent)
        for part in parts
        if part.outputs
    ]
    return tuple(name for name in each[0] if all(name in names for names in each)) if each else ()
