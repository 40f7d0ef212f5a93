"""What is timed: a program that stays up, or a call from Python; both are asked in the same way, round by round."""

import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import Timing

Array = NDArray[np.float32]
# So long that what a turn begins with, a request and cold caches, does not show.
TURN = {False: 0.01, True: 0.001}
ROUNDS = {False: 60, True: 4}


class Side(Protocol):
    """Something that is timed by the number of samples in a call, or by the name of a loop."""

    def seconds(self, what: str, calls: int) -> float:
        """Of one call: the mean of so many."""

    def results(self, what: str) -> Array:
        """What the calls compute for all samples, as flat as a file."""


class Child:
    """A program that stays up and times itself; timings.hpp says how.

    Attributes:
        about: what it says of itself.

    Args:
        program: its file.
        words: its arguments.

    Raises:
        RuntimeError: it does not start, answers a request with an error, or is gone.
    """

    def __init__(self, program: Path, *words: str | Path) -> None:
        self._program = program
        command = [str(program), *map(str, words)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout
        try:
            self.about = self._answer()
        except RuntimeError:
            self.close()
            raise

    def seconds(self, what: str, calls: int) -> float:
        """See :meth:`Side.seconds`."""
        return float(self._ask(f"time {what} {calls}"))

    def results(self, what: str) -> Array:
        """See :meth:`Side.results`."""
        path = self._program.with_name(f"{self._program.name}.results")
        self._ask(f"results {what} {path}")
        found = np.fromfile(path, np.float32)
        path.unlink()
        return found

    def close(self) -> None:
        """End it."""
        with suppress(BrokenPipeError):
            self._requests.close()
        self._process.wait()
        self._answers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, request: str) -> str:
        # A program that is gone gives no answer either, and that is said.
        with suppress(BrokenPipeError):
            self._requests.write(request + "\n")
            self._requests.flush()
        return self._answer()

    def _answer(self) -> str:
        verdict, _, text = self._answers.readline().rstrip("\n").partition(" ")
        if verdict == "ok":
            return text
        reason = text if verdict == "error" else f"ended with exit code {self._process.wait()}"
        raise RuntimeError(f"{self._program.name}: {reason}")


class Call:
    """A call from Python, with the clock of Python.

    Args:
        run: computes one batch.
        feed: makes from numbers what ``run`` takes; beforehand, so that a turn only runs.
        x: all samples.
    """

    def __init__(self, run: Callable[[Any], Any], feed: Callable[[Array], Any], x: Array) -> None:
        self._run, self._feed, self._x = run, feed, x
        self._feeds: dict[str, Sequence[Any]] = {}

    def seconds(self, what: str, calls: int) -> float:
        """See :meth:`Side.seconds`."""
        run, turns = self._run, islice(cycle(self._batches(what)), calls)
        start = perf_counter()
        for batch in turns:
            run(batch)
        return (perf_counter() - start) / calls

    def results(self, what: str) -> Array:
        """See :meth:`Side.results`."""
        return np.concatenate([np.asarray(self._run(batch)).ravel() for batch in self._batches(what)])

    def _batches(self, what: str) -> Sequence[Any]:
        if what not in self._feeds:
            size = int(what)
            self._feeds[what] = [self._feed(self._x[first : first + size]) for first in range(0, len(self._x), size)]
        return self._feeds[what]


def interleave(sides: Mapping[str, tuple[Side, str]], rounds: int, turn: float) -> dict[str, Timing]:
    """Time every side once in each round, beginning with another one each time.

    Args:
        sides: each with what it is asked for.
        rounds: how often.
        turn: about how many seconds each of them takes in a round.
    """
    calls = {name: calls_within(side, what, turn) for name, (side, what) in sides.items()}
    names = list(sides)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            side, what = sides[name]
            found[name].append(side.seconds(what, calls[name]))
    return {name: Timing(tuple(seconds)) for name, seconds in found.items()}


def calls_within(side: Side, what: str, turn: float) -> int:
    """How many calls take about that long; finding out warms the side up."""
    calls, seconds = 1, side.seconds(what, 1)
    while calls * seconds < turn / 4:
        calls *= 4
        seconds = side.seconds(what, calls)
    return max(1, round(turn / seconds))
