"""A row of a report. Neither this nor the words for it import torch: what reads a report alone starts fast."""

import math
from dataclasses import dataclass

from nalu_export.parity import wording
from nalu_export.parity.verdict import Status

# Rows that are not of an input distribution: what a runtime shows of its weights and intermediate values, and a fault
# that is the same for all inputs.
INTERMEDIATE = "intermediate values"
EVERY_INPUT = "every input"
# A file that is not what its own metadata says.
METADATA = "metadata"


def titled(distribution: str) -> str:
    """Return ``distribution zeros``; a row that is not of an input distribution has its own name."""
    return distribution if distribution in (INTERMEDIATE, EVERY_INPUT, METADATA) else f"distribution {distribution}"


@dataclass(frozen=True)
class Row:
    """One runtime on one input distribution.

    Attributes:
        runtime: name of the runtime.
        distribution: name of the input distribution.
        samples: samples run.
        outputs: numbers that came of them.
        max_ratio: largest error over its bound; at most 1 in a pass by the bound.
        max_e: largest E, see :mod:`nalu_export.parity.analysis`.
        max_ulp: largest distance from the reference, in float32 steps.
        max_ulp_torch: largest distance from PyTorch's float32 output, in float32 steps.
        nonfinite_mismatches: outputs that are NaN or infinite where they should not be, or the reverse.
        wrong_zeros: outputs that are zeros of the wrong sign: −0 where they are surely +0, or the reverse.
        undetermined: outputs that were left out of the comparison.
        status: the verdict.
        problem: what is wrong when it is not the numbers, else empty.
        reasons: why outputs were left out, the most frequent reason first.
        uncompared_outputs: of several outputs of a model those of which nothing could be compared, by name.
    """

    runtime: str
    distribution: str
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
    uncompared_outputs: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether at least one number was compared and none is wrong."""
        return self.status == Status.PASSED

    @property
    def failed(self) -> bool:
        """Whether something is wrong; a row that compared nothing has neither passed nor failed."""
        return self.status == Status.FAILED

    @property
    def gravity(self) -> tuple[bool, bool, bool, bool, int, int, float]:
        """The sort key of what a reader should see first: the largest.

        Failures come first, those that are no numbers before all others. Outputs say more than intermediate values,
        and a row that compared nothing says least.
        """
        output = self.distribution != INTERMEDIATE
        ratio = math.inf if math.isnan(self.max_ratio) else self.max_ratio
        mismatches, zeros = self.nonfinite_mismatches, self.wrong_zeros
        return self.failed, bool(self.problem), output, self.passed, mismatches, zeros, ratio

    def fault(self, criterion: str) -> wording.Fault:
        """What is wrong with a failed row, in words; ``criterion`` is that of its report."""
        return wording.fault(self, criterion)

    def wrong(self, criterion: str) -> str:
        """The same in one line."""
        return self.fault(criterion).text

    def left_out(self) -> str:
        """How many outputs were left out and why, in one line; empty where none was."""
        return wording.left_out([self])
