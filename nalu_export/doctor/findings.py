"""What a diagnosis is made of, and how it is put in one line."""

import re
from dataclasses import asdict, dataclass
from typing import Any

from nalu_export.io import notebook
from nalu_export.io.assumption import Assumption

LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that the owner of a model should know.

    Attributes:
        level: ``"error"``, it computes something else than its owner believes, or cannot compute; ``"warning"``, it
            will not extrapolate or cannot be trained on; ``"info"``, worth knowing.
        code: what kind of thing, as docs/doctor.md lists them.
        where: key or layer, as the file names it; ``"(model)"`` for a model that is one layer.
        what: was found, with numbers.
        follows: from it.
        do: about it.
    """

    level: str
    code: str
    where: str
    what: str
    follows: str
    do: str


@dataclass(frozen=True)
class Diagnosis:
    """All findings about a model, the gravest first and then by place.

    Attributes:
        path: of the file; ``None`` for a module in memory.
        sha256: of the file.
        layout: the public layout that it is in, ``"kevinzakka:NALU"``; ``None`` for others.
        compute: type of the arithmetic that ε was judged for.
        range: of the inputs that weights and gates were judged on, beside the thousandfold of it.
        notes: what was seen and done to read it, one line each.
        findings: what was found.
        assumptions: what decides what it computes and is not in the file.
    """

    path: str | None
    sha256: str | None
    layout: str | None
    compute: str
    range: tuple[float, float]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...]
    assumptions: tuple[Assumption, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each level."""
        return {level: sum(finding.level == level for finding in self.findings) for level in LEVELS}

    @property
    def failed(self) -> bool:
        """Whether one is an error."""
        return self.counts["error"] > 0

    def __repr__(self) -> str:
        return notebook.line("Diagnosis", [self.path or "a module in memory", counted(self.counts) or "nothing found"])

    def _repr_html_(self) -> str:
        """A small table for notebooks: the findings, the gravest first."""
        rows: list[tuple[str, ...]] = [(self.path or "a module in memory", counted(self.counts) or "nothing found")]
        rows += [(each.level, each.code, each.where, each.what, each.do) for each in self.findings]
        return notebook.table("Diagnosis", rows)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, see docs/doctor.md."""
        return asdict(self) | {"counts": self.counts}


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """By level, then by place with its numbers as numbers: ``model.10`` after ``model.2``."""
    return tuple(sorted(findings, key=lambda finding: (LEVELS.index(finding.level), _natural(finding.where))))


def _natural(where: str) -> list[tuple[int, str]]:
    parts = re.split("([0-9]{1,9})", where)
    return [(int(part), "") if number % 2 else (-1, part) for number, part in enumerate(parts)]


def counted(counts: dict[str, int]) -> str:
    """``"1 error, 2 warnings"``; the empty text for nothing at all."""
    names = {"error": "error", "warning": "warning", "info": "remark"}
    return ", ".join(f"{number} {names[level]}{'s' * (number != 1)}" for level, number in counts.items() if number)


def summary(diagnosis: Diagnosis) -> str:
    """One line for a tool that shows other things too."""
    if not diagnosis.findings:
        return "doctor: nothing found"
    codes = ", ".join(dict.fromkeys(finding.code for finding in diagnosis.findings))
    found = f"doctor: {counted(diagnosis.counts)} ({codes})"
    if diagnosis.path is None:
        return found
    return f"{found}; nalu-export doctor {diagnosis.path}, with the same options, tells more"
