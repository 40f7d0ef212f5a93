"""What a check found, as data; whoever shows it decides how."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from nalu_export.parity.comparison import Comparison, Tolerance


@dataclass(frozen=True)
class Row:
    """One runtime on one input family.

    Attributes:
        runtime: name of the runtime.
        family: name of the input family.
        samples: samples compared.
        max_e: largest E, see :mod:`nalu_export.parity.analysis`.
        limit: the largest E that passes.
        max_ulp: largest distance from the reference, in float32 steps.
        max_ulp_torch: largest distance from PyTorch's float32 output, in float32 steps.
        nonfinite_mismatches: outputs that are NaN or infinite where they should not be, or the other way round.
        undetermined: outputs left out because float32 overflows on the way to them.
        passed: the verdict.
        problem: what is wrong when it is not the numbers, else empty.
    """

    runtime: str
    family: str
    samples: int
    max_e: float
    limit: float
    max_ulp: int
    max_ulp_torch: int
    nonfinite_mismatches: int
    undetermined: int
    passed: bool
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """A whole check.

    Attributes:
        rows: one for each runtime and family, in the order in which they ran.
        where: device and library of each runtime.
        decisive: the runtimes whose rows decide; others are shown for comparison.
        seed: of the inputs.
        rtol: relative tolerance to PyTorch, where that decided.
        atol: absolute tolerance to PyTorch, where that decided.
    """

    rows: tuple[Row, ...]
    where: dict[str, str]
    decisive: tuple[str, ...]
    seed: int
    rtol: float | None = None
    atol: float | None = None

    @property
    def passed(self) -> bool:
        """Whether every decisive row passed; a check that compared nothing did not."""
        decisive = [row for row in self.rows if row.runtime in self.decisive]
        return bool(decisive) and all(row.passed for row in decisive)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; an infinite E, which JSON does not know, is ``null``."""
        rows = [asdict(row) | {"max_e": row.max_e if math.isfinite(row.max_e) else None} for row in self.rows]
        return {
            "passed": self.passed,
            "seed": self.seed,
            "rtol": self.rtol,
            "atol": self.atol,
            "runtimes": self.where,
            "decisive": list(self.decisive),
            "rows": rows,
        }

    def summary(self) -> str:
        """One line on the worst decisive row."""
        decisive = [row for row in self.rows if row.runtime in self.decisive]
        failed = [row for row in decisive if not row.passed]
        if not failed:
            worst = max(decisive, key=lambda row: row.max_e)
            return f"largest E {worst.max_e:.2g} ({worst.runtime}, inputs {worst.family}), allowed {worst.limit:.3g}"
        row = max(failed, key=lambda row: (bool(row.problem), row.nonfinite_mismatches, row.max_e))
        if row.problem:
            what = row.problem
        elif row.nonfinite_mismatches:
            what = f"{row.nonfinite_mismatches} outputs are NaN or infinite where they should not be, or the reverse"
        elif self.rtol is not None or self.atol is not None:
            what = f"{row.max_ulp_torch} float32 steps from PyTorch"
        else:
            what = f"E is {row.max_e:.3g}, allowed {row.limit:.3g}"
        return f"{row.runtime} on inputs {row.family}: {what}"


def merge(runtime: str, family: str, parts: list[Comparison], tolerance: Tolerance) -> Row:
    """One row from the batches of a family."""
    return Row(
        runtime=runtime,
        family=family,
        samples=sum(part.samples for part in parts),
        max_e=max(part.max_e for part in parts),
        limit=tolerance.limit,
        max_ulp=max(part.max_ulp for part in parts),
        max_ulp_torch=max(part.max_ulp_torch for part in parts),
        nonfinite_mismatches=sum(part.nonfinite_mismatches for part in parts),
        undetermined=sum(part.undetermined for part in parts),
        passed=all(part.passed for part in parts),
        problem=next((part.problem for part in parts if part.problem), ""),
    )
