"""What a sweep returns."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nalu_export.io import notebook
from nalu_export.sweeps.records import ORDER, SCHEMA, Outcome, Record


@dataclass(frozen=True)
class Tally:
    """How far a sweep is.

    Attributes:
        done: checkpoints that have a result.
        total: number of checkpoints.
        reused: those of ``done`` whose result is that of an earlier sweep.
        not_passed: those of ``done`` that did not pass.
        note: a line for the user, such as that the scheduler is lost; mostly empty.
    """

    done: int
    total: int
    reused: int
    not_passed: int
    note: str = ""


@dataclass(frozen=True)
class Sweep:
    """What became of every checkpoint of a sweep.

    Attributes:
        out: its folder.
        records: a :class:`nalu_export.sweeps.records.Record` for each checkpoint, in the order of the sources.
        reused: number of checkpoints whose result is that of an earlier sweep.
        seconds: how long the sweep took.
        manifest: path of the manifest.
        parquet: path of the manifest as Parquet; ``None`` if pyarrow is not installed.
        overview: path of the web page.
        notes: what could not be done, one line each.
    """

    out: Path
    records: tuple[Record, ...]
    reused: int
    seconds: float
    manifest: Path
    parquet: Path | None
    overview: Path
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every checkpoint passed."""
        return all(record.passed for record in self.records)

    @property
    def counts(self) -> dict[str, int]:
        """Number of checkpoints by what became of them: failed, crashed, refused, passed."""
        found = Counter(record.status for record in self.records)
        return {str(outcome): found[outcome] for outcome in ORDER}

    @property
    def worst(self) -> tuple[Record, ...]:
        """The records, failures first, then by their largest error over its bound."""
        return tuple(sorted(self.records, key=lambda record: record.gravity))

    def with_status(self, status: str) -> tuple[Record, ...]:
        """Return the records with a status, such as ``"failed"``, the worst first."""
        return tuple(record for record in self.worst if record.status == Outcome(status))

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "schema": SCHEMA,
            "passed": self.passed,
            "counts": self.counts,
            "reused": self.reused,
            "seconds": round(self.seconds, 3),
            "manifest": str(self.manifest),
            "parquet": None if self.parquet is None else str(self.parquet),
            "overview": str(self.overview),
            "notes": list(self.notes),
            "records": [record.to_dict() for record in self.records],
        }

    def __repr__(self) -> str:
        counts = [f"{count} {name}" for name, count in self.counts.items() if count]
        return notebook.line("Sweep", [str(self.out), f"{len(self.records)} checkpoints", *counts])

    def _repr_html_(self) -> str:
        """A small table for notebooks: the counts, and the worst checkpoints."""
        rows: list[tuple[str, ...]] = [(name, str(count)) for name, count in self.counts.items() if count]
        rows += [(record.path, str(record.status), *said(record)) for record in self.worst]
        return notebook.table(f"Sweep: {self.out}", [*rows, *(("note", note) for note in self.notes)])


def said(record: Record) -> tuple[str, ...]:
    """Return the figures and the error of a record as short texts."""
    ratio = record.error_over_bound
    figures = [] if ratio is None else [f"error/bound {ratio:.3g} in {record.runtime} on {record.distribution}"]
    return (*figures, *([record.error] if record.error else []))
