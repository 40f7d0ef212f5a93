"""Exports that are killed: at random moments from outside, and before every line of the writing from within."""

import functools
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Section, Target
from benchmarks.survival.launch import Launch, Running
from benchmarks.survival.moments import Moment, Timing, any_moment, measure, naming, opening, while_open
from benchmarks.survival.scene import OLD, Scene, Subject, Verdict, claim, judge
from benchmarks.survival.subject import ONNX, SCRIPT, UNCHECKED
from benchmarks.survival.watching import BEFORE, NAMED, OPEN, Watcher

FORMATS = (ONNX, SCRIPT)
Draw = Callable[[Timing, random.Random], Moment]
AIMED: tuple[Draw, ...] = (opening, while_open, naming)
HIDDEN_WAY = "without-unnamed-files"
STEPS_AT_MOST = 500
MISSES_AT_MOST = 100


@dataclass
class Tally:
    """What became of the exports of one kind.

    Attributes:
        name: of the kind.
        phases: how far they were when they were killed.
        outcomes: what the target was afterwards.
        hidden: after how many a file was left under a hidden name.
        over: how many ended before the moment had come; they do not count.
        faults: what must never be.
    """

    name: str
    phases: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    over: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How many were killed."""
        return self.phases.total()

    def add(self, phase: str, verdict: Verdict) -> None:
        """One more that was killed."""
        self.phases[phase] += 1
        self.outcomes[verdict.outcome] += 1
        self.hidden += bool(verdict.hidden)
        self.faults += [f"{self.name}, killed with {phase}: {fault}" for fault in verdict.faults]


@dataclass(frozen=True)
class Plan:
    """How to kill.

    Attributes:
        subject: what is exported.
        launch: how exports are started.
        root: a folder for all of it.
        rng: draws the moments.
        changes: what is done to each process.
        formats: options of the exports.
    """

    subject: Subject
    launch: Launch
    root: Path
    rng: random.Random
    changes: tuple[str, ...] = ()
    formats: tuple[tuple[str, ...], ...] = FORMATS

    def scene(self, old: bytes | None = None) -> Scene:
        """A fresh folder; the one before must have been cleared."""
        root = self.root / "killed"
        root.mkdir()
        return Scene(root, self.subject.source, old)

    def start(self, options: Sequence[str], scene: Scene, *changes: str) -> Running:
        """An export with these and the plan's own changes."""
        return scene.start(self.launch, options, (*self.changes, *changes))

    @property
    def unnamed(self) -> bool:
        """Whether files without a name can be used."""
        return HIDDEN_WAY not in self.changes


def at_random(plan: Plan, kills: int, aimed: int, rounds: int = 3) -> list[Tally]:
    """Kill from outside: ``kills`` at any moment, ``aimed`` more around the writing.

    Both are shared out among the formats, and each half and half onto no file and onto an older one.
    """
    tallies: list[Tally] = []
    for options in plan.formats:
        timing = measure(plan.scene, functools.partial(plan.start, options), rounds)
        for old in (None, OLD):
            tally = Tally(f"{options[1]} onto {'nothing' if old is None else 'an older file'}")
            share = len(plan.formats) * 2
            moments: list[Draw] = [any_moment] * (kills // share)
            moments += [AIMED[(len(tallies) + number) % len(AIMED)] for number in range(aimed // share)]
            for draw in moments:
                misses = 0
                while not _killed(plan, options, old, draw(timing, plan.rng), tally):
                    misses += 1
                    if misses > MISSES_AT_MOST:
                        raise RuntimeError(f"{tally.name}: {misses} exports in turn were over before their moment")
                tally.over += misses
            tallies.append(tally)
    return tallies


def _killed(plan: Plan, options: tuple[str, ...], old: bytes | None, moment: Moment, tally: Tally) -> bool:
    """Whether the export was killed before its own end."""
    scene = plan.scene(old)
    running = plan.start(options, scene)
    watcher = Watcher(scene, running)
    try:
        come = moment(watcher)
        phase = watcher.phase()
        code = running.kill()
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"an undisturbed export ended with {code}: {running.said()}")
        if not come or code == 0:
            return False
        tally.add(phase, judge(scene, [plan.subject.artifacts[options]], unnamed=plan.unnamed))
        return True
    finally:
        running.kill()
        scene.clear()


def at_every_step(plan: Plan, first: int = 1, stride: int = 1) -> list[Tally]:
    """Kill from within, before each line of the writing in turn, until an export gets to its end."""
    tallies = []
    for old in (None, OLD):
        tally = Tally(f"onnx onto {'nothing' if old is None else 'an older file'}")
        for step in range(first, STEPS_AT_MOST, stride):
            if not _killed_at(plan, old, step, tally):
                break
        tallies.append(tally)
    return tallies


def _killed_at(plan: Plan, old: bytes | None, step: int, tally: Tally) -> bool:
    scene = plan.scene(old)
    running = plan.start(UNCHECKED, scene, f"die-at-step={step}")
    code = running.wait()
    try:
        if code not in (0, -signal.SIGKILL):
            raise RuntimeError(f"step {step}: the export ended with {code}: {running.said()}")
        if code:
            tally.add(f"step {step}", judge(scene, [plan.subject.artifacts[UNCHECKED]], unnamed=plan.unnamed))
        return code != 0
    finally:
        scene.clear()


def random_section(tallies: Sequence[Tally], seed: int, *, unnamed: bool) -> Section:
    """What became of the exports that were killed from outside."""
    rows = [(tally.name, *_counts(tally, (BEFORE, OPEN, NAMED))) for tally in _with_sum(tallies)]
    over = sum(tally.over for tally in tallies)
    return Section(
        f"Kill -9 from outside, {_way(unnamed)}",
        f"Real processes, moments drawn with seed {seed}; {over} more had ended before their moment and do not count. "
        "How far an export was is looked up in /proc right before the signal is sent.",
        ("export", "kills", BEFORE, OPEN, NAMED, *OUTCOMES),
        tuple(rows),
        (_target(tallies),),
    )


def step_section(tallies: Sequence[Tally], *, unnamed: bool) -> Section:
    """What became of the exports that were killed from within."""
    return Section(
        f"Kill -9 before every line of the writing, {_way(unnamed)}",
        "A process that kills itself before line 1, 2, 3 … of nalu_export/io/targets.py that it comes to as it writes.",
        ("export", "kills", *OUTCOMES),
        tuple((tally.name, *_counts(tally, ())) for tally in _with_sum(tallies)),
        (_target(tallies),),
    )


OUTCOMES = ("target as before", "target new and whole", "target broken", "a hidden file left")


def _counts(tally: Tally, phases: Iterable[str]) -> list[str]:
    outcomes = (tally.outcomes[name] for name in ("as before", "new", "broken"))
    return [str(count) for count in (tally.kills, *(tally.phases[name] for name in phases), *outcomes, tally.hidden)]


def _with_sum(tallies: Sequence[Tally]) -> list[Tally]:
    total = Tally("all")
    for tally in tallies:
        total.phases += tally.phases
        total.outcomes += tally.outcomes
        total.hidden += tally.hidden
    return [*tallies, total]


def _way(unnamed: bool) -> str:
    return "files without a name" if unnamed else "hidden temporary files"


def _target(tallies: Sequence[Tally]) -> Target:
    faults = [fault for tally in tallies for fault in tally.faults]
    return claim("no partial, mixed or stray file, no touched source", faults)
