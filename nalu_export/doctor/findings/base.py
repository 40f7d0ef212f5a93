"""What a finding is, and what finds it: a file of this folder defines a :class:`Finder` as ``FINDER``."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from nalu_export.doctor.running import Runs
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.subject import Head, Subject

LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One fact that the owner of a model should know.

    Attributes:
        level: ``"error"``: the model computes something else than its owner expects, or cannot compute; ``"warning"``:
            it will not extrapolate or cannot be trained further; ``"info"``: worth knowing.
        code: the kind of finding, listed in docs/doctor.md.
        where: key or layer, as the file names it; ``"(model)"`` for a model that is one layer.
        what: what was found, with numbers.
        effect: what follows from it.
        remedy: what to do about it.
    """

    level: str
    code: str
    where: str
    what: str
    effect: str
    remedy: str


@dataclass(frozen=True)
class Examined:
    """What a finder can look at.

    Attributes:
        subject: the model: its tensors, its arithmetic subgraphs and the names in its file.
        settings: the settings of the diagnosis.
        runs: the runs of each of ``subject.heads``, in their order; ``None`` for one that does not run.
    """

    subject: Subject
    settings: Settings
    runs: tuple[Runs | None, ...]

    def heads(self) -> Iterator[tuple[Head, Runs | None]]:
        """Yield each arithmetic subgraph with its runs."""
        yield from zip(self.subject.heads, self.runs, strict=True)


@dataclass(frozen=True)
class Finder:
    """Finds one kind of fault.

    Attributes:
        find: yields the findings about a model.
        codes: every code that a finding of it may have; docs/doctor.md has a row for each.
        rank: the lower rank is listed first among findings of the same level and place, so that a cause is read before
            what follows from it.
    """

    find: Callable[[Examined], Iterable[Finding]]
    codes: tuple[str, ...]
    rank: int = 100


def in_each_head(
    find: Callable[[Head, Runs | None, Settings], Iterable[Finding]],
) -> Callable[[Examined], Iterable[Finding]]:
    """Return the ``find`` of a :class:`Finder` that looks at one arithmetic subgraph at a time."""

    def of_all(examined: Examined) -> Iterator[Finding]:
        for head, runs in examined.heads():
            yield from find(head, runs, examined.settings)

    return of_all
