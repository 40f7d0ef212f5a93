"""What a check found, as data; whoever shows it decides how."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.parity.comparison import Comparison

SCHEMA = "nalu_export.report/1"


@dataclass(frozen=True)
class Row:
    """One runtime on one input family.

    Attributes:
        runtime: name of the runtime.
        family: name of the input family.
        samples: samples compared.
        outputs: numbers compared.
        max_ratio: largest error over its bound; at most 1 in a pass by the bound.
        max_e: largest E, see :mod:`nalu_export.parity.analysis`.
        max_ulp: largest distance from the reference, in float32 steps.
        max_ulp_torch: largest distance from PyTorch's float32 output, in float32 steps.
        nonfinite_mismatches: outputs that are NaN or infinite where they should not be, or the other way round.
        wrong_zeros: outputs that are −0 where they are surely +0, or the other way round.
        undetermined: outputs left out because float32 overflows on the way to them.
        passed: the verdict.
        problem: what is wrong when it is not the numbers, else empty.
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
    passed: bool
    problem: str = ""


@dataclass(frozen=True)
class RuntimeInfo:
    """A runtime that ran.

    Attributes:
        name: as the command line spells it.
        where: device and library, one line.
        details: the same for machines: library, device, driver, provider, options.
        decisive: whether its rows decide; others are shown for comparison.
        remarks: what it does otherwise than the file says, with the reason.
    """

    name: str
    where: str
    details: dict[str, str]
    decisive: bool
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Worst:
    """The input with the largest error over its bound, of one runtime.

    Attributes:
        runtime: name of the runtime.
        family: where the input comes from.
        ratio: error over bound, infinite for a mismatch of NaN or infinity.
        x: the sample, without the batch axis.
        out: what the runtime gave.
        reference: what it should give, in float64.
        bound: how far off a correct evaluation may be, for each output.
        torch: PyTorch's float32 output.
    """

    runtime: str
    family: str
    ratio: float
    x: NDArray[np.float32]
    out: NDArray[np.float32]
    reference: NDArray[np.float64]
    bound: NDArray[np.float64]
    torch: NDArray[np.float32]


@dataclass(frozen=True)
class Break:
    """The first value of the arithmetic graph that leaves its bound, for the worst input of one runtime.

    Attributes:
        runtime: name of the runtime.
        value: dotted name of the value, ``layers.0.m``; empty where every value inside holds.
        formula: how the value is computed, ``exp(linear)``.
        index: which element of it, without the batch axis.
        got: what the runtime has there.
        expected: what the reference has there.
        bound: how far off a correct evaluation may be.
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
    """Error against the size of the input: for each bin, the output with the largest error over its bound.

    Attributes:
        runtime: name of the runtime.
        magnitude: largest ``|x|`` of the sample, ascending; 0 for a sample of nothing but zeros.
        error: ``|out − reference|``, infinite for a mismatch of NaN or infinity.
        bound: what it may be.
        unit: ``u·D`` of that output: ``error / unit`` is E.
    """

    runtime: str
    magnitude: tuple[float, ...]
    error: tuple[float, ...]
    bound: tuple[float, ...]
    unit: tuple[float, ...]


@dataclass(frozen=True)
class Report:
    """A whole check.

    Attributes:
        rows: one for each runtime and family, in the order in which they ran.
        runtimes: those that ran.
        verdict: what decided: ``"bound"``, or the tolerances in words.
        seed: of the inputs.
        missing: runtimes that were asked for by ``all`` and could not run, with the reason.
        worst: the worst input of each runtime.
        breaks: where each failing runtime leaves its bound first.
        curves: for the plots.
        weights: effective weights of each layer, for the heatmaps: ``{"layers.0": {"W": …}}``.
        subject: what was checked: model, artifact, their hashes, weights and compute mode, layers.
        environment: versions of what took part.
        notes: what the check could not do, or had to do otherwise, one line each.
    """

    rows: tuple[Row, ...]
    runtimes: tuple[RuntimeInfo, ...]
    verdict: str
    seed: int
    missing: dict[str, str] = field(default_factory=dict)
    worst: tuple[Worst, ...] = ()
    breaks: tuple[Break, ...] = ()
    curves: tuple[Curve, ...] = ()
    weights: dict[str, dict[str, NDArray[np.float32]]] = field(default_factory=dict)
    subject: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def decisive(self) -> tuple[Row, ...]:
        """The rows that decide."""
        names = {runtime.name for runtime in self.runtimes if runtime.decisive}
        return tuple(row for row in self.rows if row.runtime in names)

    @property
    def passed(self) -> bool:
        """Whether every decisive row passed; a runtime of which nothing could be compared did not."""
        return bool(self.decisive) and not self.uncompared and all(row.passed for row in self.decisive)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Runtimes that decide and of which nothing could be compared, although no row of theirs failed."""
        compared = {row.runtime for row in self.rows if not row.passed or row.undetermined < row.outputs}
        return tuple(info.name for info in self.runtimes if info.decisive and info.name not in compared)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, documented in docs/report.md; numbers that JSON does not know are texts."""
        found: dict[str, Any] = _plain(
            {
                "schema": SCHEMA,
                "passed": self.passed,
                "summary": self.summary(),
                "verdict": self.verdict,
                "seed": self.seed,
                "subject": self.subject,
                "environment": self.environment,
                "notes": list(self.notes),
                "runtimes": [asdict(runtime) for runtime in self.runtimes],
                "missing": self.missing,
                "rows": [asdict(row) for row in self.rows],
                "worst": [asdict(worst) for worst in self.worst],
                "breaks": [asdict(found) for found in self.breaks],
                "curves": [asdict(curve) for curve in self.curves],
            }
        )
        return found

    def summary(self) -> str:
        """One line on the worst decisive row."""
        failed = [row for row in self.decisive if not row.passed]
        if not failed and not self.passed:
            return "nothing was compared"
        if not failed:
            # Values inside have no E; a share of theirs would say less.
            worst = max(self.decisive, key=lambda row: (row.max_e > 0, row.max_ratio))
            return (
                f"largest error is {worst.max_ratio:.0%} of its bound, E {worst.max_e:.2g} "
                f"({worst.runtime}, inputs {worst.family})"
            )
        row = max(failed, key=_gravity)
        if row.problem:
            what = row.problem
        elif row.nonfinite_mismatches:
            what = f"NaN or infinity, or a number where one should be, in {_outputs(row.nonfinite_mismatches)}"
        elif row.wrong_zeros:
            what = f"a zero of the wrong sign in {_outputs(row.wrong_zeros)}"
        elif self.verdict != "bound":
            what = f"{row.max_ulp_torch} ULP from PyTorch, {row.max_ulp} from float64; allowed: {self.verdict}"
        else:
            what = f"the error is {row.max_ratio:.3g} times its bound, E {row.max_e:.3g}"
        found = next((str(found) for found in self.breaks if found.runtime == row.runtime and found.value), "")
        return f"{row.runtime} on inputs {row.family}: {what}" + (f"; {found}" if found else "")


def _gravity(row: Row) -> tuple[bool, int, int, bool, float]:
    """What a summary should speak of first; values inside, which have no E, last."""
    return bool(row.problem), row.nonfinite_mismatches, row.wrong_zeros, row.max_e > 0, row.max_ratio


def _outputs(count: int) -> str:
    return f"{count} output{'s' if count > 1 else ''}"


def _plain(value: Any) -> Any:
    """Arrays as lists, and NaN and infinities as the texts ``"nan"``, ``"inf"``, ``"-inf"``."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def merge(runtime: str, family: str, parts: Sequence[Comparison | Row]) -> Row:
    """One row from the batches of a family, or from the rows of several families."""
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
        passed=all(part.passed for part in parts),
        problem=next((part.problem for part in parts if part.problem), ""),
    )
