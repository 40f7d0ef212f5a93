"""``python benchmarks/survival [PART …] [--kills N] [--aimed N] [--seed N]``; exit code 1 if any promise was broken."""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose names would hide others.
sys.path[0] = str(ROOT)

from rich.console import Console  # noqa: E402

from benchmarks import machine  # noqa: E402
from benchmarks.report import Section, markdown, show  # noqa: E402
from benchmarks.survival import disks, folders, kills, proofs, races, subject  # noqa: E402
from benchmarks.survival.disks import NoDiskError  # noqa: E402
from benchmarks.survival.kills import HIDDEN_WAY, Plan  # noqa: E402
from benchmarks.survival.launch import cold, warm, warm_server  # noqa: E402
from benchmarks.survival.scene import Subject  # noqa: E402

PARTS = ("kills", "hidden-kills", "steps", "disks", "folders", "races", "proofs")
WIDTH = 170


def main(argv: list[str] | None = None) -> int:
    """Parse, run, show; the exit code."""
    arguments = parse(argv)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, no_color=True)
    for name, value in machine.describe():
        console.print(f"{name}: {value}", markup=False)
    console.print()
    found = []
    with tempfile.TemporaryDirectory(prefix="survival-") as name:
        root = Path(name)
        root.chmod(0o755)  # another user has to get in
        warm_server()
        made = subject.make(arguments.size, root / "subject")
        for part in arguments.parts or PARTS:
            for section in SECTIONS[part](made, root, arguments):
                show(section, console)
                found.append(section)
    if arguments.write is not None:
        arguments.write.write_text(markdown(found, "# What survived"), encoding="utf-8")
    return int(not all(target.reached for section in found for target in section.targets))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks/survival",
        description="Kill, starve, refuse and race exports, and look at what is left.",
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; by default all of them")
    parser.add_argument("--kills", type=int, default=200, help="at any moment of an export (default 200)")
    parser.add_argument("--aimed", type=int, default=96, help="more, around the writing (default 96)")
    parser.add_argument("--rounds", type=int, default=6, help="of each race (default 6)")
    parser.add_argument("--size", type=int, default=128, help="inputs and hidden units of the model (default 128)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables here as Markdown")
    arguments = parser.parse_args(argv)
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return arguments


def _kills(made: Subject, root: Path, arguments: argparse.Namespace) -> Iterator[Section]:
    plan = Plan(made, cold, root, random.Random(arguments.seed))
    yield kills.random_section(kills.at_random(plan, arguments.kills, arguments.aimed), arguments.seed, unnamed=True)


def _hidden_kills(made: Subject, root: Path, arguments: argparse.Namespace) -> Iterator[Section]:
    plan = Plan(made, warm, root, random.Random(arguments.seed), (HIDDEN_WAY,))
    tallies = kills.at_random(plan, arguments.aimed // 2, arguments.aimed)
    yield kills.random_section(tallies, arguments.seed, unnamed=False)


def _steps(made: Subject, root: Path, arguments: argparse.Namespace) -> Iterator[Section]:
    for changes in ((), (HIDDEN_WAY,)):
        plan = Plan(made, warm, root, random.Random(arguments.seed), changes)
        yield kills.step_section(kills.at_every_step(plan), unnamed=not changes)


def _disks(made: Subject, root: Path, _: argparse.Namespace) -> Iterator[Section]:
    attempts, skipped = disks.with_limit(made, cold, root), []
    for kind in ("tmpfs", "ext4"):
        try:
            attempts += disks.on_disk(kind, made, cold, root)
        except NoDiskError as error:
            skipped.append(f"{kind}: {error}")
    yield disks.section(attempts, len(made.artifacts[subject.ONNX]), skipped)


def _folders(made: Subject, root: Path, _: argparse.Namespace) -> Iterator[Section]:
    found, skipped = [folders.run_case(case, made, cold, root) for case in folders.CASES], []
    try:
        found += [folders.run_case(case, made, cold, root) for case in folders.permissions()]
        found.append(folders.on_read_only_disk(made, cold, root))
    except NoDiskError as error:
        skipped.append(str(error))
    yield folders.section(found, skipped)


def _races(made: Subject, root: Path, arguments: argparse.Namespace) -> Iterator[Section]:
    yield races.section([races.race(made, cold, root, racers, arguments.rounds) for racers in (2, 8)])


def _proofs(made: Subject, root: Path, arguments: argparse.Namespace) -> Iterator[Section]:
    plan = Plan(made, warm, root, random.Random(arguments.seed))
    yield proofs.section([proofs.prove(mistake, plan) for mistake in proofs.MISTAKES])


SECTIONS: dict[str, Callable[[Subject, Path, argparse.Namespace], Iterator[Section]]] = dict(
    zip(PARTS, (_kills, _hidden_kills, _steps, _disks, _folders, _races, _proofs), strict=True)
)

if __name__ == "__main__":
    sys.exit(main())
