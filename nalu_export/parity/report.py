"""What a check found, as data; whoever shows it decides how."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.io import notebook
from nalu_export.io.assumption import Assumption
from nalu_export.io.figures import figure
from nalu_export.parity import wording
from nalu_export.parity.records import Curve, Divergence, RuntimeInfo, Worst, merge
from nalu_export.parity.row import EVERY_INPUT, INTERMEDIATE, METADATA, Row, titled
from nalu_export.parity.verdict import Status, overall

__all__ = [
    "EVERY_INPUT",
    "INTERMEDIATE",
    "Curve",
    "Divergence",
    "Report",
    "Row",
    "RuntimeInfo",
    "Worst",
    "merge",
    "titled",
]

SCHEMA = "nalu_export.report/4"


@dataclass(frozen=True)
class Report:
    """A whole check.

    Attributes:
        rows: one for each runtime and input distribution, in the order in which they ran.
        runtimes: those that ran.
        criterion: what decided: ``"bound"``, or the tolerances in words.
        seed: of the inputs.
        missing: runtimes that were asked for by ``all`` and could not run, with the reason.
        worst: the worst input of each runtime.
        divergences: where each failing runtime leaves its bound first.
        curves: for the plots.
        weights: effective weights of each layer, for the heatmaps: ``{"layers.0": {"W": …}}``.
        subject: what was checked: model, artifact, their hashes, weights and compute mode, layers.
        environment: versions of what took part.
        notes: what the check could not do, or had to do otherwise, one line each.
        assumptions: what decides what the model computes and is not in its file.
        allow_empty: whether a check that compared nothing is accepted.
        isolated: names of the rows that are of an isolated subgraph.
    """

    rows: tuple[Row, ...]
    runtimes: tuple[RuntimeInfo, ...]
    criterion: str
    seed: int
    missing: dict[str, str] = field(default_factory=dict)
    worst: tuple[Worst, ...] = ()
    divergences: tuple[Divergence, ...] = ()
    curves: tuple[Curve, ...] = ()
    weights: dict[str, dict[str, NDArray[np.float32]]] = field(default_factory=dict)
    subject: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    allow_empty: bool = False
    isolated: tuple[str, ...] = ()

    @property
    def decisive(self) -> tuple[Row, ...]:
        """The rows that decide."""
        names = {runtime.name for runtime in self.runtimes if runtime.decisive}
        return tuple(row for row in self.rows if row.runtime in names)

    @property
    def status(self) -> Status:
        """The verdict: of every runtime that decides something was compared, and nothing is wrong."""
        found = overall(row.status for row in self.decisive)
        return Status.NOTHING if found is Status.PASSED and self.uncompared else found

    @property
    def passed(self) -> bool:
        """Whether the verdict is ``passed``; a check that compared nothing has not passed."""
        return self.status is Status.PASSED

    @property
    def accepted(self) -> bool:
        """Whether it passed, or compared nothing where that is allowed."""
        return self.passed or (self.allow_empty and self.status is Status.NOTHING)

    @property
    def uncompared(self) -> tuple[str, ...]:
        """Runtimes that decide, of which no output could be compared, or not each of several, and no row failed."""
        return tuple(info.name for info in self.runtimes if info.decisive and self._is_uncompared(info.name))

    def _is_uncompared(self, runtime: str) -> bool:
        # Weights and intermediate values alone say little about what comes out.
        rows = [row for row in self.rows if row.runtime == runtime and row.distribution != INTERMEDIATE]
        if any(row.failed for row in self.rows if row.runtime == runtime):
            return False
        return not any(row.passed for row in rows) or bool(self.uncompared_outputs(runtime))

    def uncompared_outputs(self, runtime: str) -> tuple[str, ...]:
        """Of several outputs of a model those of which nothing could be compared in one runtime."""
        passed = [
            row.uncompared_outputs
            for row in self.rows
            if row.runtime == runtime and row.passed and row.distribution in self._drawn
        ]
        return tuple(name for name in passed[0] if all(name in names for names in passed)) if passed else ()

    @property
    def _drawn(self) -> set[str]:
        """The rows that are of inputs of the model itself."""
        return {row.distribution for row in self.rows} - {INTERMEDIATE, METADATA, *self.isolated}

    def __repr__(self) -> str:
        names = ", ".join(info.name for info in self.runtimes)
        return notebook.line("Report", [str(self.status), names, f"{len(self.rows)} rows", self.summary()])

    def _repr_html_(self) -> str:
        """A small table for notebooks: each runtime with its worst input distribution."""
        rows: list[tuple[str, ...]] = [(str(self.status), self.summary())]
        for info in self.runtimes:
            own = [row for row in self.rows if row.runtime == info.name]
            if own:
                worst = max(own, key=lambda row: row.gravity)
                said = worst.wrong(self.criterion) if worst.failed else f"error/bound {figure(worst.max_ratio)}"
                rows.append((info.name, f"{len(own)} rows", f"{titled(worst.distribution)}: {said}", info.where))
        rows += [(name, f"not run: {why}") for name, why in self.missing.items()]
        return notebook.table("Report", [*rows, *(("note", note) for note in self.notes)])

    def nothing_compared(self) -> str:
        """Why the verdict is ``nothing compared``, in one line."""
        return wording.nothing_compared(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, documented in docs/report.md; numbers that JSON does not know are texts."""
        found: dict[str, Any] = _plain(
            {
                "schema": SCHEMA,
                "status": self.status,
                "passed": self.passed,
                "allow_empty": self.allow_empty,
                "summary": self.summary(),
                "criterion": self.criterion,
                "seed": self.seed,
                "subject": self.subject,
                "environment": self.environment,
                "notes": list(self.notes),
                "assumptions": [asdict(each) for each in self.assumptions],
                "runtimes": [asdict(runtime) for runtime in self.runtimes],
                "missing": self.missing,
                "rows": [asdict(row) for row in self.rows],
                "worst": [asdict(worst) for worst in self.worst],
                "divergences": [asdict(found) for found in self.divergences],
                "curves": [asdict(curve) for curve in self.curves],
            }
        )
        return found

    def summary(self) -> str:
        """One line on the worst decisive row."""
        failed = [row for row in self.decisive if row.failed]
        if failed:
            row = max(failed, key=lambda row: row.gravity)
            found = next((str(found) for found in self.divergences if found.runtime == row.runtime and found.value), "")
            where = f"{row.runtime} on {titled(row.distribution)}: {row.wrong(self.criterion)}"
            return f"{where}; {found}" if found else where
        if not self.passed:
            return self.nothing_compared()
        # Intermediate values have no E; a share of theirs would say less.
        worst = max((row for row in self.decisive if row.passed), key=lambda row: (row.max_e > 0, row.max_ratio))
        text = (
            f"largest error is {worst.max_ratio:.0%} of its bound, E {figure(worst.max_e, 2)} "
            f"({worst.runtime}, {titled(worst.distribution)})"
        )
        return "; ".join(filter(None, (text, wording.partly_empty(self))))


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
