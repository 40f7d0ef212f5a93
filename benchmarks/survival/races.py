"""Exports with different options that race to one path, under the eyes of a reader that never stops."""

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Section
from benchmarks.survival.launch import Launch
from benchmarks.survival.scene import OLD, Scene, Subject, claim, judge
from benchmarks.survival.subject import VARIANTS

PAUSE = 0.0001  # or the reader takes a core from those who race


@dataclass
class Race:
    """What came of some rounds.

    Attributes:
        racers: exports at a time.
        rounds: how many times they raced.
        reads: how often the path was read while they did.
        seen: which contents were read, numbered as in ``good``.
        winners: which content was there in the end, and how often.
        faults: what must never be.
    """

    racers: int
    rounds: int = 0
    reads: int = 0
    seen: Counter[int] = field(default_factory=Counter)
    winners: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Reader:
    """Reads a path in a loop until it is told to stop; each content must be one of ``good``."""

    def __init__(self, path: Path, good: Sequence[bytes]) -> None:
        self.path, self.good = path, {content: number for number, content in enumerate(good)}
        self.reads, self.seen, self.faults = 0, Counter[int](), Counter[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.wait(PAUSE):
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                if self.reads:  # it was there before
                    self.faults["the reader found no file where there had been one"] += 1
                continue
            self.reads += 1
            number = self.good.get(content)
            if number is None:
                self.faults[f"the reader got {len(content)} bytes of no export"] += 1
            else:
                self.seen[number] += 1


def race(subject: Subject, launch: Launch, root: Path, racers: int, rounds: int, changes: Sequence[str] = ()) -> Race:
    """Let the first ``racers`` of ``VARIANTS`` race to one path; every other time onto an older file."""
    result = Race(racers)
    for number in range(rounds):
        folder = root / "race"
        folder.mkdir()
        _one(result, subject, launch, folder, OLD if number % 2 else None, changes)
        result.rounds += 1
    return result


def _one(result: Race, subject: Subject, launch: Launch, root: Path, old: bytes | None, changes: Sequence[str]) -> None:
    scene = Scene(root, subject.source, old)
    options = VARIANTS[: result.racers]
    good = [subject.artifacts[one] for one in options]
    with Reader(scene.target, [*good, OLD]) as reader:
        racing = []
        for number, one in enumerate(options):
            logs = scene.root / f"logs-{number}"
            logs.mkdir()
            racing.append(launch(scene.arguments(one), logs, changes))
        codes = [running.wait() for running in racing]
    result.reads += reader.reads
    result.seen += reader.seen
    result.faults += [f"{text}, {times} times" for text, times in reader.faults.items()]
    result.faults += [f"exit code {code}: {one.said()}" for code, one in zip(codes, racing, strict=True) if code]
    verdict = judge(scene, good, killed=False)
    result.faults += verdict.faults
    if verdict.outcome == "new":
        result.winners[good.index(scene.target.read_bytes())] += 1
    scene.clear()


def section(races: Collection[Race]) -> Section:
    """What came of all races."""
    rows = [
        (
            f"{one.racers} exports",
            str(one.rounds),
            str(one.reads),
            str(len([number for number in one.seen if number < one.racers])),
            str(one.winners.total()),
            str(len(one.winners)),
            str(len(one.faults)),
        )
        for one in races
    ]
    faults = [fault for one in races for fault in one.faults]
    return Section(
        "Exports racing to one path",
        "Every export has other options and so other bytes; all start at once. Meanwhile the path is read in a loop, "
        "and what is read must be one of these files, whole; every other round begins with an older file, which may be "
        "read too.",
        ("at once", "rounds", "reads", "different files read", "whole at the end", "different winners", "faults"),
        tuple(rows),
        (claim("every read and every end is one of the valid files", faults),),
    )
