"""What a check is asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Compute
from nalu_export.graph.interface import Sizes
from nalu_export.parity.options import CheckOptions

Progress = Callable[[str, int, int], None]


def _silent(text: str, done: int, steps: int) -> None:
    """Whom nobody listens to."""


@dataclass(frozen=True)
class CheckRequest:
    """One check: of which file, against which model, where and how.

    Attributes:
        graph: the source, captured.
        data: the artifact.
        sizes: shapes of one sample of each input to run, several where axes are free.
        compute: type of the artifact's arithmetic subgraphs.
        runtimes: names of those to run, in order.
        options: how.
        decisive: the runtimes that decide; ``None`` for all of them.
        skip_missing: list a runtime that is not there in ``report.missing`` instead of raising.
        progress: called with a text, the steps done and their number.
    """

    graph: ModelGraph
    data: bytes
    sizes: Sequence[Sizes]
    compute: Compute
    runtimes: Sequence[str]
    options: CheckOptions
    decisive: Sequence[str] | None = None
    skip_missing: bool = False
    progress: Progress = _silent
