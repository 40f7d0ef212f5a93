"""The request of a check."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Compute
from nalu_export.graph.interface import Sizes
from nalu_export.parity.options import CheckOptions

Progress = Callable[[str, int, int], None]


def no_progress(text: str, done: int, steps: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class CheckRequest:
    """What is checked against which model, where and how.

    Attributes:
        graph: the source, captured.
        data: the artifact.
        sizes: shapes of one sample of each input to run, several where axes are free.
        compute: type of the artifact's arithmetic.
        runtimes: names of the runtimes to run, in order.
        options: samples, input distributions, search and tolerance.
        decisive: the runtimes that decide the verdict; ``None`` for all of them.
        skip_missing: list an absent runtime in ``report.missing`` instead of raising.
        progress: called with a text, the number of steps done and the number of steps.
    """

    graph: ModelGraph
    data: bytes
    sizes: Sequence[Sizes]
    compute: Compute
    runtimes: Sequence[str]
    options: CheckOptions
    decisive: Sequence[str] | None = None
    skip_missing: bool = False
    progress: Progress = no_progress
