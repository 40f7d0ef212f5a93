"""When to kill an export: at any moment of its run, or while it writes."""

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.survival.launch import Running
from benchmarks.survival.scene import Scene
from benchmarks.survival.watching import Watcher, until

JUST_AFTER = 0.005
PAUSE = 0.0003


@dataclass(frozen=True)
class Timing:
    """Seconds from the start of an export: until its file is open, until that has its name, until the process ends."""

    opened: float
    named: float
    ended: float


# Waits for the moment to kill; False: the export was over before. It may also be over when True is told.
Moment = Callable[[Watcher], bool]


def measure(scene_of: Callable[[], Scene], start: Callable[[Scene], Running], rounds: int) -> Timing:
    """The medians of a few undisturbed exports, each into a scene of its own."""
    found = [_once(scene_of(), start) for _ in range(rounds)]
    return Timing(
        *(statistics.median(getattr(one, name) for one in found) for name in ("opened", "named", "ended")),
    )


def _once(scene: Scene, start: Callable[[Scene], Running]) -> Timing:
    began = time.monotonic()
    running = start(scene)
    watcher = Watcher(scene, running)
    times = []
    for condition in (watcher.has_begun, watcher.is_named):
        until(condition, running, PAUSE)
        times.append(time.monotonic() - began)
    code = running.wait()
    if code:
        raise RuntimeError(f"an undisturbed export ended with {code}: {running.said()}")
    timing = Timing(times[0], times[1], time.monotonic() - began)
    scene.clear()
    return timing


def any_moment(timing: Timing, rng: random.Random) -> Moment:
    """Any moment of a run, all of them equally likely."""
    delay = rng.uniform(0.0, timing.ended)

    def wait(_: Watcher) -> bool:
        time.sleep(delay)
        return True

    return wait


def opening(timing: Timing, rng: random.Random) -> Moment:
    """Within 5 ms of the opening of the file: it is being written, forced to the disk, read back."""
    del timing
    delay = rng.uniform(0.0, JUST_AFTER)

    def wait(watcher: Watcher) -> bool:
        if not until(watcher.has_begun, watcher.running, PAUSE):
            return False
        # Not sleep: it returns 0.1 ms late, which is long here.
        end = time.monotonic() + delay
        while time.monotonic() < end:
            pass
        return True

    return wait


def while_open(timing: Timing, rng: random.Random) -> Moment:
    """Any moment from the opening of the file until it has its name; most of that time goes into the check."""
    delay = rng.uniform(0.0, timing.named - timing.opened)

    def wait(watcher: Watcher) -> bool:
        if not until(watcher.has_begun, watcher.running, PAUSE):
            return False
        time.sleep(delay)
        return True

    return wait


def naming(timing: Timing, rng: random.Random) -> Moment:
    """As soon as there is another name in the folder, or the target is another file."""
    del timing, rng

    def wait(watcher: Watcher) -> bool:
        return until(lambda: watcher.is_hidden() or watcher.is_named(), watcher.running)

    return wait
