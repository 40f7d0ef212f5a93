"""A folder that an export goes to, and what may have become of it."""

import os
import shutil
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report import Target
from benchmarks.survival.launch import Launch, Running

SOURCE, TARGET, NEIGHBOUR = "model.pt", "model.out", "notes.txt"
OLD = b"an older export, complete and good\n"
LONG_AGO = 10**18
HIDDEN = ".nalu_export."
FAULTS_TOLD = 3

# path → what it is: kind, permissions, owner, time of change, content. Folders have no time: hidden files come and go.
Tree = dict[str, tuple[str, int, int, int, bytes]]


@dataclass(frozen=True)
class Subject:
    """What is exported, and what must come out.

    Attributes:
        source: content of the checkpoint.
        artifacts: the file that belongs to each list of options.
    """

    source: bytes
    artifacts: dict[tuple[str, ...], bytes]


@dataclass
class Scene:
    """Two folders: one with a source, a neighbour and a target or none, and one for what the process says.

    Attributes:
        root: holds both; must be empty.
        source: content of the source.
        old: content of the target, ``None`` for no target.
    """

    root: Path
    source: bytes
    old: bytes | None = None
    before: Tree = field(init=False)

    def __post_init__(self) -> None:
        self.folder, self.logs = self.root / "models", self.root / "logs"
        self.folder.mkdir()
        self.logs.mkdir()
        self.logs.chmod(0o755)
        self.target = self.folder / TARGET
        self.fill()

    def fill(self) -> None:
        """Put the files there; also after something was mounted over the folder."""
        for name, content in ((SOURCE, self.source), (NEIGHBOUR, b"mine\n"), (TARGET, self.old)):
            if content is not None:
                (self.folder / name).write_bytes(content)
                os.utime(self.folder / name, ns=(LONG_AGO, LONG_AGO))
        self.remember()

    def remember(self) -> None:
        """What is there now is what an export that fails must leave."""
        self.before = tree(self.folder)

    def arguments(self, options: Sequence[str]) -> list[str]:
        """Of a command that exports the source to the target."""
        return [str(self.folder / SOURCE), *options, "-o", str(self.target)]

    def start(self, launch: Launch, options: Sequence[str], changes: Sequence[str] = ()) -> Running:
        """An export of the source to the target."""
        return launch(self.arguments(options), self.logs, changes)

    def clear(self) -> None:
        """Away with all of it."""
        shutil.rmtree(self.root)


def tree(folder: Path) -> Tree:
    """Everything in a folder and below it; links are not followed."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        kind = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}.get(
            stat.S_IFMT(state.st_mode), "other"
        )
        content = path.read_bytes() if kind == "file" else os.fsencode(os.readlink(path)) if kind == "link" else b""
        time = 0 if kind == "folder" else state.st_mtime_ns
        found[str(path.relative_to(folder))] = (kind, state.st_mode, state.st_uid, time, content)
    return found


@dataclass(frozen=True)
class Verdict:
    """What a folder holds after an export ended in whatever way.

    Attributes:
        outcome: of the target: ``"as before"`` or ``"new"``, or ``"broken"``.
        hidden: how many files are there under a hidden temporary name.
        faults: what must never be, each in a sentence.
    """

    outcome: str
    hidden: int
    faults: tuple[str, ...]


def judge(scene: Scene, good: Collection[bytes], *, unnamed: bool = True, killed: bool = True) -> Verdict:
    """Hold a folder against what may have become of it.

    Args:
        scene: the folder, and what was in it before.
        good: contents that the target may have taken on.
        unnamed: whether the file system can hold files without a name. If so a hidden file may be left by a kill
            only where it replaces another one, for the moment between two system calls, and is complete. If not it
            may be a part.
        killed: whether the export was; otherwise it must leave no hidden file.
    """
    after, faults = tree(scene.folder), []
    name_of_target = str(scene.target.relative_to(scene.folder))
    target, was = after.pop(name_of_target, None), scene.before.get(name_of_target)
    outcome = "as before"
    if target != was:
        outcome = "new" if target is not None and target[0] == "file" and target[4] in good else "broken"
    if outcome == "broken":
        faults.append(f"{TARGET} is gone" if target is None else f"{TARGET} holds {len(target[4])} bytes of no export")
    hidden = {name: after.pop(name) for name in [*after] if name.startswith(HIDDEN)}
    for name, found in hidden.items():
        if not killed or (unnamed and (was is None or found[4] not in good)):
            faults.append(f"{name} of {len(found[4])} bytes was left")
    others = {name: found for name, found in scene.before.items() if name != name_of_target}
    faults += [
        f"{name} {_difference(others.get(name), after.get(name))}"
        for name in sorted(after.keys() | others.keys())
        if after.get(name) != others.get(name)
    ]
    strays = sorted(tree(scene.logs / "tmp"))
    faults += [f"{name} was left in the folder for temporary files" for name in strays]
    return Verdict(outcome, len(hidden), tuple(faults))


def _difference(before: tuple[object, ...] | None, after: tuple[object, ...] | None) -> str:
    if before is None:
        return "was left"
    if after is None:
        return "is gone"
    names = ("kind", "permissions", "owner", "time of change", "content")
    return "has another " + " and ".join(
        name for name, old, new in zip(names, before, after, strict=True) if old != new
    )


def claim(text: str, faults: Sequence[str]) -> Target:
    """A claim and whether it held; if not, with the first faults."""
    told = [*dict.fromkeys(faults)][:FAULTS_TOLD]
    more = [f"{len(faults)} faults in all"] if len(faults) > len(told) else []
    return Target("; ".join([text, *told, *more]), not faults)
