"""What the probe found so far, read from the records of its workers, and the page that says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.report import Section, markdown

TITLE = "# What one CUDA device does"
NOT_BEGUN = "not begun"


@dataclass
class Results:
    """The state of a run.

    Attributes:
        parts: those that are to run, in order.
        facts: of the machine.
        missing: the runtimes that do not run here, with the reason.
        nothing_runs: whether these are all there are.
        sections: the tables.
        skipped: what was left out.
        state: what became of each part.
        failed: why a part broke down.
    """

    parts: Sequence[str]
    facts: list[tuple[str, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    nothing_runs: bool = False
    sections: list[Section] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    state: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def under_way(self) -> str:
        """The part that has begun and not ended, empty where none has."""
        return next((part for part, state in self.state.items() if state == "under way"), "")

    @property
    def to_do(self) -> list[str]:
        """The parts that have not begun."""
        return [part for part in self.parts if part not in self.state]

    def read(self, record: Mapping[str, Any]) -> None:
        """Take in what a worker wrote."""
        part = record.get("part", "")
        if "facts" in record:
            self.facts = [(name, value) for name, value in record["facts"]]
            self.missing, self.nothing_runs = dict(record["missing"]), record["nothing_runs"]
        elif "begins" in record:
            self.state[part] = "under way"
        elif "section" in record:
            self.sections.append(section_of(record["section"]))
        elif "failed" in record:
            self.fail(part, record["failed"])
        elif "ran" in record:
            self.state[part] = f"ran in {record['ran']:.0f} s"
        for line in record.get("skipped", ()):
            if line not in self.skipped:
                self.skipped.append(line)

    def fail(self, part: str, why: str) -> None:
        """A part broke down; what it had found stays."""
        self.failed[part] = why
        self.state[part] = f"FAILED: {why}"

    def page(self) -> str:
        """All of it in Markdown."""
        lines = [
            TITLE,
            "",
            "Written by `make cuda-probe`; attach this file to an issue. The tables are what this machine did, and "
            "decide nothing: bounds and tests are adapted to them.",
            "",
            *(f"- {name}: {value}" for name, value in self.facts),
            *(f"- {name}: does not run: {reason}" for name, reason in self.missing.items()),
            "",
            "Parts:",
            "",
            *(f"- {part}: {self.state.get(part, NOT_BEGUN)}" for part in self.parts),
            "",
            "Skipped:",
            "",
            *(f"- {line}" for line in self.skipped or ["nothing"]),
        ]
        return markdown(self.sections, "\n".join(lines))


def section_of(data: Mapping[str, Any]) -> Section:
    """A table without its targets, from JSON."""
    rows = tuple(tuple(row) for row in data["rows"])
    return Section(data["title"], data["method"], tuple(data["header"]), rows)
