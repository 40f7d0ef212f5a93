"""The record of a diagnosis, and its summary in one line."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from nalu_export.doctor.findings.base import LEVELS, Finding
from nalu_export.io import notebook
from nalu_export.io.assumption import Assumption


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a model, sorted by level and then by place.

    Attributes:
        path: path of the file; ``None`` for a module in memory.
        sha256: digest of the file.
        layout: the public layout of the file, ``"kevinzakka:NALU"``; ``None`` for others.
        compute: type of the arithmetic that ε was judged for.
        training_range: range of inputs that weights and gates were judged on; 1000 times this range was used as well.
        notes: how the model was read, one line each.
        findings: the findings.
        assumptions: facts that determine what the model computes and that the file does not hold.
    """

    path: str | None
    sha256: str | None
    layout: str | None
    compute: str
    training_range: tuple[float, float]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        return {level: sum(finding.level == level for finding in self.findings) for level in LEVELS}

    @property
    def failed(self) -> bool:
        """Whether a finding is an error."""
        return self.counts["error"] > 0

    def __repr__(self) -> str:
        return notebook.line("Diagnosis", [self.path or "a module in memory", counted(self.counts) or "nothing found"])

    def _repr_html_(self) -> str:
        """A small table for notebooks: the findings, the gravest first."""
        rows: list[tuple[str, ...]] = [(self.path or "a module in memory", counted(self.counts) or "nothing found")]
        rows += [(each.level, each.code, each.where, each.what, each.remedy) for each in self.findings]
        return notebook.table("Diagnosis", rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, see docs/doctor.md."""
        # The key of the range is older than the name of its attribute.
        facts = {"inputs" if name == "training_range" else name: value for name, value in asdict(self).items()}
        return facts | {"counts": self.counts}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Sort by level, then by place, with numbers compared as numbers: ``model.10`` after ``model.2``."""
    return tuple(sorted(findings, key=lambda finding: (LEVELS.index(finding.level), _natural(finding.where))))


def _natural(where: str) -> list[tuple[int, str]]:
    parts = re.split("([0-9]{1,9})", where)
    return [(int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)]


def counted(counts: dict[str, int]) -> str:
    """Return ``"1 error, 2 warnings"``; an empty text for no findings."""
    names = {"error": "error", "warning": "warning", "info": "remark"}
    return ", ".join(f"{number} {names[level]}{'s' * (number != 1)}" for level, number in counts.items() if number)


def summary(diagnosis: Diagnosis) -> str:
    """Return a diagnosis in one line, for commands that report other things too."""
    if not diagnosis.findings:
        return "doctor: nothing found"
    codes = ", ".join(dict.fromkeys(finding.code for finding in diagnosis.findings))
    found = f"doctor: {counted(diagnosis.counts)} ({codes})"
    if diagnosis.path is None:
        return found
    return f"{found}; for details run nalu-export doctor {diagnosis.path} with the same options"
