"""Exports to a disk that has too little room, of several kinds."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Section
from benchmarks.survival.launch import Launch
from benchmarks.survival.scene import OLD, Scene, Subject, claim, judge
from benchmarks.survival.subject import ONNX

SIZE = 8 * 2**20
BLOCK = 4096
LEAST = 1024  # less room would also stop what the command says from getting into its file
FULL, TOO_LARGE = "No space left on device", "File too large"
FILLER = "filler"
# Room for how much of the new file; None for more than enough.
Part = float | None
PARTS: tuple[Part, ...] = (0.0, 0.25, 0.5, 0.9, None)


class NoDiskError(Exception):
    """A disk cannot be mounted here; the text says why."""


@dataclass(frozen=True)
class Attempt:
    """One export to one disk.

    Attributes:
        disk: which.
        room: bytes for the new file; the file needs more, or not.
        fits: whether it does.
        old: whether there was an older file.
        said: what the command wrote to stderr.
        faults: what must never be.
    """

    disk: str
    room: int
    fits: bool
    old: bool
    said: str
    faults: tuple[str, ...]


@contextlib.contextmanager
def mounted(kind: str, folder: Path) -> Iterator[str | None]:
    """A disk of 8 MiB in ``folder``: ``"tmpfs"`` or ``"ext4"``, which forces its own blocks to a file.

    Gives why it cannot be mounted, ``None`` if it is.
    """
    why = _mount(kind, folder)
    try:
        yield why
    finally:
        if why is None:
            subprocess.run(["umount", str(folder)], check=True)


def _mount(kind: str, folder: Path) -> str | None:
    image = folder.with_name(folder.name + ".image")
    commands = [["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]]
    if kind == "ext4":
        with image.open("wb") as file:
            file.truncate(SIZE)
        make = ["mkfs.ext4", "-q", "-m", "0", "-b", str(BLOCK), str(image)]
        commands = [make, ["mount", "-o", "loop", str(image), str(folder)]]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return f"there is no {command[0]}"
        if done.returncode:
            return done.stderr.strip() or f"{command[0]} failed"
    return None


def on_disk(kind: str, subject: Subject, launch: Launch, root: Path, parts: Sequence[Part] = PARTS) -> list[Attempt]:
    """Exports to a disk that is filled up but for a part of what the new file needs.

    Raises:
        NoDiskError: such a disk cannot be mounted here.
    """
    attempts = []
    for part, scene in _scenes(subject, root, parts):
        with mounted(kind, scene.folder) as why:
            if why is not None:
                raise NoDiskError(why)
            scene.fill()
            room = _room(part, subject)
            fill_up(scene.folder, room)
            scene.remember()
            attempts.append(_attempt(f"{kind}, full", scene, subject, launch, room, ()))
        scene.clear()
    return attempts


def with_limit(subject: Subject, launch: Launch, root: Path, parts: Sequence[Part] = PARTS) -> list[Attempt]:
    """The same with a limit on the size of a file (``ulimit -f``), which anyone may set."""
    attempts = []
    for part, scene in _scenes(subject, root, parts):
        room = max(_room(part, subject), LEAST)
        limit = (f"limit-file-size={room}",)
        attempts.append(_attempt("limit on the size of a file", scene, subject, launch, room, limit))
        scene.clear()
    return attempts


def _scenes(subject: Subject, root: Path, parts: Sequence[Part]) -> Iterator[tuple[Part, Scene]]:
    """Each amount of room with and without an older file at the target."""
    for part in parts:
        for old in (None, OLD):
            folder = root / "disk"
            folder.mkdir()
            yield part, Scene(folder, subject.source, old)


def _room(part: Part, subject: Subject) -> int:
    needed = len(subject.artifacts[ONNX])
    return needed + SIZE // 8 if part is None else int(part * needed)


def fill_up(folder: Path, room: int) -> None:
    """Write until the disk is full, then give back whole blocks of at most ``room`` bytes.

    What a file system says about its free space it does not always give away: ext4 keeps some for itself.
    """
    with (folder / FILLER).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(BLOCK))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(file.tell() // BLOCK * BLOCK - room // BLOCK * BLOCK)
        os.fsync(file.fileno())


def _attempt(disk: str, scene: Scene, subject: Subject, launch: Launch, room: int, changes: tuple[str, ...]) -> Attempt:
    good = subject.artifacts[ONNX]
    fits = room >= len(good)
    running = scene.start(launch, ONNX, changes)
    code, said = running.wait(), running.said()
    verdict = judge(scene, [good], killed=False)
    faults = list(verdict.faults)
    reason = TOO_LARGE if changes else FULL
    wanted = (0, "", "new") if fits else (2, f"nalu-export: {scene.target}: cannot be written: {reason}\n", "as before")
    if (code, said, verdict.outcome) != wanted:
        faults.append(f"exit code {code}, target {verdict.outcome}, stderr {said!r}")
    return Attempt(disk, room, fits, scene.target.name in scene.before, said, tuple(faults))


def section(attempts: Sequence[Attempt], needed: int, skipped: Sequence[str]) -> Section:
    """What came of all attempts."""
    rows = []
    for disk in dict.fromkeys(attempt.disk for attempt in attempts):
        for fits in (False, True):
            of = [one for one in attempts if one.disk == disk and one.fits is fits]
            rooms = ", ".join(str(room) for room in sorted({one.room for one in of}))
            kept = sum(not one.faults for one in of)
            rows.append(
                (disk, rooms, "is written" if fits else "exit code 2, one line, all as before", f"{kept} of {len(of)}")
            )
    faults = [f"{one.disk}, {one.room} bytes: {fault}" for one in attempts for fault in one.faults]
    notes = "".join(f" Not run: {text}." for text in skipped)
    return Section(
        "A full disk",
        f"The new file has {needed} bytes; each amount of room once with an older file at the target and once without. "
        f"Source and target lie on the disk.{notes}",
        ("disk", "room in bytes", "must be", "was"),
        tuple(rows),
        (claim("nothing partial, nothing left, one line", faults),),
    )
