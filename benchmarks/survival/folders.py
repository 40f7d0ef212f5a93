"""Folders that cannot be written, targets that must not be, and what goes away while an export runs."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Section
from benchmarks.survival.child import NOBODY
from benchmarks.survival.disks import NoDiskError, mounted
from benchmarks.survival.launch import Launch, Running
from benchmarks.survival.scene import OLD, SOURCE, TARGET, Scene, Subject, claim, judge
from benchmarks.survival.subject import ONNX
from benchmarks.survival.watching import Watcher, until

# Root is stopped by no permissions: then another user exports.
IS_ROOT = os.geteuid() == 0
USER, AS_USER = (NOBODY, ("become-nobody",)) if IS_ROOT else (os.geteuid(), ())

NO_FOLDER_RIGHTS = "{target}: its folder {folder} cannot be written to; choose another output path"
NOT_REGULAR = "{target}: exists and is not a regular file; choose another output path"
IN_DEV = "{target}: is in /dev, a folder of the system; choose another output path, or - for standard output"
CIRCLE = "{target}: is a link that leads in a circle; choose another output path"
IS_SOURCE = "{target}: is the source itself; choose another output path"


@dataclass(frozen=True)
class Case:
    """One folder or target.

    Attributes:
        name: what is special about it.
        prepare: makes it so.
        text: the one line on stderr, after ``nalu-export: ``; ``None`` if the export must succeed.
        meanwhile: done to the scene once the new file is open.
        changes: to the process.
        old: content of the target before ``prepare``.
        own: whether the folder belongs to the user who exports.
    """

    name: str
    prepare: Callable[[Scene], object]
    text: str | None = None
    meanwhile: Callable[[Scene], object] | None = None
    changes: tuple[str, ...] = ()
    old: bytes | None = None
    own: bool = True


def _nothing(scene: Scene) -> None:
    del scene


def _folder_of(owner: int, mode: int) -> Callable[[Scene], None]:
    def prepare(scene: Scene) -> None:
        scene.folder.chmod(mode)
        os.chown(scene.folder, owner, -1)

    return prepare


def _link_to_folder(scene: Scene) -> None:
    (scene.folder / "below").mkdir()
    scene.target.symlink_to("below")


def _folder_in_the_way(scene: Scene) -> None:
    scene.target.mkdir()


def _missing_folder(scene: Scene) -> None:
    scene.target = scene.folder / "missing" / TARGET


def _folder_to_lose(scene: Scene) -> None:
    (scene.folder / "below").mkdir()
    scene.target = scene.folder / "below" / TARGET


def _lose_folder(scene: Scene) -> None:
    shutil.rmtree(scene.target.parent)


def _fifo_meanwhile(scene: Scene) -> None:
    os.mkfifo(scene.target)


CASES = (
    Case("target is a directory", _folder_in_the_way, NOT_REGULAR),
    Case("target is a FIFO", lambda scene: os.mkfifo(scene.target), NOT_REGULAR),
    Case("target is a link to a device", lambda scene: scene.target.symlink_to("/dev/null"), IN_DEV),
    Case("target is a link to a directory", _link_to_folder, NOT_REGULAR),
    Case("target is a link to the source", lambda scene: scene.target.symlink_to(SOURCE), IS_SOURCE),
    Case(
        "target is a hard link to the source", lambda scene: scene.target.hardlink_to(scene.folder / SOURCE), IS_SOURCE
    ),
    Case("target is a link to itself", lambda scene: scene.target.symlink_to(TARGET), CIRCLE),
    Case("target is read-only", lambda scene: scene.target.chmod(0o400), old=OLD),
    Case("folder is missing", _missing_folder, "{target}: its folder {folder} does not exist; create it first"),
    Case(
        "folder is deleted meanwhile",
        _folder_to_lose,
        "{target}: cannot be written: No such file or directory",
        _lose_folder,
    ),
    Case(
        "target becomes a directory meanwhile",
        _nothing,
        "{target}: cannot be written: Is a directory",
        _folder_in_the_way,
    ),
    Case("target becomes a FIFO meanwhile", _nothing, None, _fifo_meanwhile),
    Case("target becomes a link to the source meanwhile", _nothing, None, lambda s: s.target.symlink_to(SOURCE)),
)
PERMISSIONS = (
    Case("read-only folder of one's own", _folder_of(USER, 0o500), NO_FOLDER_RIGHTS, changes=AS_USER),
    Case("folder of somebody else", _folder_of(0, 0o755), NO_FOLDER_RIGHTS, changes=AS_USER, old=OLD, own=False),
    Case("folder that can be written and not listed", _folder_of(USER, 0o300), changes=AS_USER, old=OLD),
    Case(
        "sticky folder, target of somebody else",
        _folder_of(0, 0o1777),
        "{target}: cannot be written: Operation not permitted",
        changes=AS_USER,
        old=OLD,
        own=False,
    ),
)


def permissions() -> tuple[Case, ...]:
    """Those of ``PERMISSIONS`` that can be tried: what belongs to somebody else only root can make."""
    return tuple(case for case in PERMISSIONS if IS_ROOT or case.own)


@dataclass(frozen=True)
class Found:
    """What came of one case: its name, what the command said, and what must never be."""

    name: str
    said: str
    faults: tuple[str, ...]


def run_case(case: Case, subject: Subject, launch: Launch, root: Path) -> Found:
    """One export into a folder that is made as the case says."""
    folder = root / "folder"
    folder.mkdir()
    scene = Scene(folder, subject.source, case.old)
    case.prepare(scene)
    scene.remember()
    found = _export(case, scene, subject, launch)
    scene.clear()
    return found


def on_read_only_disk(subject: Subject, launch: Launch, root: Path) -> Found:
    """A disk that is mounted read-only, with an older file on it.

    Raises:
        NoDiskError: none can be mounted here.
    """
    case = Case("disk that is mounted read-only", lambda _: None, NO_FOLDER_RIGHTS)
    folder = root / "folder"
    folder.mkdir()
    scene = Scene(folder, subject.source, OLD)
    with mounted("tmpfs", scene.folder) as why:
        if why is not None:
            raise NoDiskError(why)
        scene.fill()
        subprocess.run(["mount", "-o", "remount,ro", str(scene.folder)], check=True)
        found = _export(case, scene, subject, launch)
    scene.clear()
    return found


def _export(case: Case, scene: Scene, subject: Subject, launch: Launch) -> Found:
    running = scene.start(launch, ONNX, case.changes)
    if case.meanwhile is not None:
        _meanwhile(case.meanwhile, scene, running)
    code, said = running.wait(), running.said()
    verdict = judge(scene, [subject.artifacts[ONNX]], killed=False)
    faults = list(verdict.faults)
    paths = {"target": scene.target, "folder": scene.target.parent, "source": scene.folder / SOURCE}
    line = "" if case.text is None else f"nalu-export: {case.text.format(**paths)}\n"
    wanted = (0, line, "new") if case.text is None else (2, line, "as before")
    if (code, said, verdict.outcome) != wanted:
        faults.append(f"exit code {code}, target {verdict.outcome}, stderr {said!r}")
    return Found(case.name, _last_line(said.replace(str(scene.root), "")), tuple(faults))


def _last_line(said: str) -> str:
    return said.strip().splitlines()[-1] if said.strip() else "exported"


def _meanwhile(action: Callable[[Scene], object], scene: Scene, running: Running) -> None:
    """Stop the export once its new file is open, and let it go on when the action is done."""
    watcher = Watcher(scene, running)
    if not until(watcher.is_open, running):
        raise RuntimeError(f"the export never came to its file: {running.said()}")
    os.kill(running.pid, signal.SIGSTOP)
    action(scene)
    scene.remember()
    os.kill(running.pid, signal.SIGCONT)


def section(found: Sequence[Found], skipped: Sequence[str]) -> Section:
    """What came of all cases."""
    rows = [(one.name, one.said, "; ".join(one.faults) or "nothing") for one in found]
    faults = [f"{one.name}: {fault}" for one in found for fault in one.faults]
    notes = "".join(f" Not run: {text}." for text in skipped)
    return Section(
        "Folders and targets",
        f"What was refused ended with exit code 2 and this one line, and left everything as it was; permissions were "
        f"tried as user {USER}, meanwhile is while the new file is open.{notes}",
        ("folder or target", "the command said", "faults"),
        tuple(rows),
        (claim("nothing partial, nothing left, one line", faults),),
    )
