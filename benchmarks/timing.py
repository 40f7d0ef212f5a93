"""Medians of alternating rounds: what disturbs the machine for a while disturbs all sides alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True)
class Timing:
    """Seconds of each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """Lower and upper quartile: how noisy the machine was."""
        ordered = sorted(self.rounds)
        quarter = len(ordered) // 4
        return ordered[quarter], ordered[-1 - quarter]


def interleave(
    subjects: Mapping[str, Callable[[], object]], rounds: int, calls: Mapping[str, int] | None = None
) -> dict[str, Timing]:
    """Time every subject once in each round, beginning with another one each time.

    Args:
        subjects: what to call.
        rounds: how often.
        calls: calls in one turn of each subject, whose mean is taken; 1 by default.
    """
    names = list(subjects)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(turn(subjects[name], 1 if calls is None else calls[name]))
    return {name: Timing(tuple(seconds)) for name, seconds in found.items()}


def turn(subject: Callable[[], object], calls: int) -> float:
    """Mean seconds of one call."""
    start = perf_counter()
    for _ in range(calls):
        subject()
    return (perf_counter() - start) / calls


def calls_within(subject: Callable[[], object], seconds: float) -> int:
    """How many calls take about that long, after a warm-up."""
    turn(subject, 10)
    return max(1, round(seconds / turn(subject, 10)))
