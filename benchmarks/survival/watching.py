"""How far an export has come, seen from outside: open files in /proc, names in the folder."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.survival.launch import TIMEOUT, Running
from benchmarks.survival.scene import Scene

BEFORE, OPEN, NAMED = "before the file is open", "file open, no final name yet", "file has its name"


class Watcher:
    """Looks at one export into ``scene``; made before that can have changed the target."""

    def __init__(self, scene: Scene, running: Running) -> None:
        self.scene, self.running = scene, running
        self.target_before = _state(scene.target)
        self.names_before = {*os.listdir(scene.target.parent), scene.target.name}

    def phase(self) -> str:
        """One of ``BEFORE``, ``OPEN`` and ``NAMED``."""
        if self.is_named():
            return NAMED
        return OPEN if self.is_open() else BEFORE

    def is_open(self) -> bool:
        """Whether the new file is open: without a name, or under a temporary one."""
        return _holds_unnamed(self.running.pid, self.scene.target.parent) or self.is_hidden()

    def is_hidden(self) -> bool:
        """Whether there is a temporary name in the folder."""
        return not self.names_before.issuperset(os.listdir(self.scene.target.parent))

    def has_begun(self) -> bool:
        """Whether anything of the new file is there."""
        return self.is_open() or self.is_named()

    def is_named(self) -> bool:
        """Whether the target is another file than before, or has changed."""
        return _state(self.scene.target) != self.target_before


def until(condition: Callable[[], bool], running: Running, pause: float = 0.0) -> bool:
    """Look again and again; whether it came true before the export was over.

    Args:
        condition: what to wait for.
        running: the export.
        pause: seconds between two looks; without any, looking takes a core from the export.
    """
    end = time.monotonic() + TIMEOUT
    while not condition():
        if running.over() or time.monotonic() > end:
            return condition()
        if pause:
            time.sleep(pause)
    return True


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _holds_unnamed(pid: int, folder: Path) -> bool:
    descriptors = f"/proc/{pid}/fd"
    try:
        names = os.listdir(descriptors)
    except OSError:  # it has ended
        return False
    return any(_is_unnamed(f"{descriptors}/{name}", f"{folder}/#") for name in names)


def _is_unnamed(link: str, start: str) -> bool:
    try:
        return os.readlink(link).startswith(start)
    except OSError:
        return False
