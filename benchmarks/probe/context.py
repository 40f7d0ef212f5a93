"""What every part of the probe is given: what to run, until when, and where it says what it left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.cuda_setup import OUT_OF_TIME, Setup
from benchmarks.report import Section


@dataclass
class Context:
    """One part's share of the run.

    Attributes:
        setup: what to run.
        quick: few cases of each kind: shows that it all runs.
        until: seconds after the start of the run when the part is to be over.
        missing: the runtimes that do not run here, with the reason.
        skipped: what was left out, one line each.
    """

    setup: Setup
    quick: bool = False
    until: float = float("inf")
    missing: Mapping[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    @property
    def late(self) -> bool:
        """Whether the share is used up."""
        return self.setup.late(self.until)

    def progress(self, text: str) -> None:
        """Say what is under way."""
        self.setup.progress(text)

    def skip(self, what: str, why: str = OUT_OF_TIME) -> None:
        """Print and remember what is left out; the same line once."""
        line = f"{what}: {why}"
        if line not in self.skipped:
            self.skipped.append(line)
            self.progress(f"skipped: {line}")

    def running(self, *names: str) -> list[str]:
        """Those of some runtimes that run here; the others are skipped, with the reason."""
        for name in names:
            if name in self.missing:
                self.skip(f"whatever runs in {name}", self.missing[name])
        return [name for name in names if name not in self.missing]


Part = Callable[[Context], Iterator[Section]]
