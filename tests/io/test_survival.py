"""benchmarks/survival: a few of its kills, disks, folders and races, and that it would find what is wrong."""

import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.report import Section
from benchmarks.survival import __main__ as command
from benchmarks.survival import disks, folders, kills, proofs, races, scene, subject
from benchmarks.survival.kills import HIDDEN_WAY, Plan
from benchmarks.survival.launch import cold, warm, warm_server
from benchmarks.survival.scene import HIDDEN, NEIGHBOUR, OLD, SOURCE, TARGET, Scene, Subject, judge
from benchmarks.survival.subject import ONNX, UNCHECKED


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    warm_server()
    return subject.make(3, tmp_path_factory.mktemp("made") / "subject", variants=proofs.RACERS)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that other users can get into; those of pytest are for one user only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def plan(made: Subject, root: Path) -> Plan:
    return Plan(made, warm, root, random.Random(0))


class TestExports:
    @pytest.mark.slow
    def test_kills_at_random_moments(self, plan: Plan) -> None:
        tallies = kills.at_random(plan, 4, 4, rounds=1)
        assert [tally.kills for tally in tallies] == [2, 2, 2, 2]
        section = kills.random_section(tallies, 0, unnamed=True)
        assert section.targets[0].reached, section.targets[0]
        assert section.rows[-1][:2] == ("all", "8")

    @pytest.mark.parametrize("changes", [(), (HIDDEN_WAY,)])
    def test_kills_before_lines_of_the_writing(self, changes: tuple[str, ...], made: Subject, root: Path) -> None:
        tallies = kills.at_every_step(Plan(made, warm, root, random.Random(0), changes), first=8, stride=14)
        section = kills.step_section(tallies, unnamed=not changes)
        assert section.targets[0].reached, section.targets[0]
        assert all(tally.outcomes["as before"] and tally.outcomes["new"] for tally in tallies)

    @pytest.mark.slow
    def test_a_process_as_a_user_starts_it(self, made: Subject, root: Path) -> None:
        folder = Scene(root, made.source)
        running = folder.start(cold, UNCHECKED)
        assert (running.wait(), running.said()) == (0, "")
        assert judge(folder, [made.artifacts[UNCHECKED]], killed=False) == scene.Verdict("new", 0, ())

    def test_a_limit_on_the_size_of_a_file(self, made: Subject, root: Path) -> None:
        attempts = disks.with_limit(made, warm, root, (0.5, None))
        self.hold(attempts, made, disks.TOO_LARGE)

    def test_a_full_disk(self, made: Subject, root: Path) -> None:
        try:
            attempts = disks.on_disk("tmpfs", made, warm, root, (0.0, None))
        except disks.NoDiskError as error:
            pytest.skip(f"no disk can be mounted ({error}); the limit on the size of a file stands in for it")
        self.hold(attempts, made, disks.FULL)

    def hold(self, attempts: list[disks.Attempt], made: Subject, reason: str) -> None:
        section = disks.section(attempts, len(made.artifacts[ONNX]), [])
        assert section.targets[0].reached, section.targets[0]
        assert {one.said.rpartition(": ")[2] for one in attempts if not one.fits} == {f"{reason}\n"}
        assert any(one.fits for one in attempts)

    @pytest.mark.parametrize(
        "case",
        [case for case in (*folders.CASES, *folders.permissions()) if case.meanwhile or case.changes or case.old],
        ids=lambda case: case.name.replace(" ", "-"),
    )
    def test_folders_and_targets(self, case: folders.Case, made: Subject, root: Path) -> None:
        found = folders.run_case(case, made, warm, root)
        assert found.faults == ()
        assert (found.said == "exported") is (case.text is None)

    def test_a_race(self, made: Subject, root: Path) -> None:
        result = races.race(made, warm, root, racers=2, rounds=2)
        assert result.faults == []
        assert result.winners.total() == 2
        assert result.reads > 100
        assert {*result.seen} >= {len(subject.VARIANTS[:2])}, "the older file was there to be read"

    @pytest.mark.parametrize("mistake", proofs.MISTAKES)
    def test_mistakes_are_found(self, mistake: str, plan: Plan) -> None:
        proof = proofs.prove(mistake, plan, kills=4, rounds=1)
        section = proofs.section([proof])
        assert section.targets[0].reached, section.targets[0]


@pytest.fixture
def folder(tmp_path: Path) -> Scene:
    return Scene(tmp_path, b"source", OLD)


def _same_bytes_later(folder: Scene) -> None:
    (folder.folder / SOURCE).write_bytes(b"source")


FAULTS: dict[str, tuple[Callable[[Scene], Any], str]] = {
    "partial": (lambda s: s.target.write_bytes(b"go"), "model.out holds 2 bytes of no export"),
    "mixed": (lambda s: s.target.write_bytes(b"gobd"), "model.out holds 4 bytes of no export"),
    "gone": (lambda s: s.target.unlink(), "model.out is gone"),
    "a link": (lambda s: (s.target.unlink(), s.target.symlink_to(SOURCE)), "model.out holds 8 bytes of no export"),  # type: ignore[func-returns-value]
    "part, hidden": (lambda s: (s.folder / f"{HIDDEN}1.tmp").write_bytes(b"go"), f"{HIDDEN}1.tmp of 2 bytes was left"),
    "stray": (lambda s: (s.folder / "model.out.tmp").write_bytes(b"good"), "model.out.tmp was left"),
    "source": (lambda s: (s.folder / SOURCE).unlink(), "model.pt is gone"),
    "source's time": (_same_bytes_later, "model.pt has another time of change"),
    "source's rights": (lambda s: (s.folder / SOURCE).chmod(0o600), "model.pt has another permissions"),
    "neighbour": (
        lambda s: (s.folder / NEIGHBOUR).write_bytes(b"yours"),
        "notes.txt has another time of change and content",
    ),
    "temporary": (
        lambda s: ((s.logs / "tmp").mkdir(), (s.logs / "tmp" / "x").touch()),  # type: ignore[func-returns-value]
        "x was left in the folder for temporary files",
    ),
}


class TestJudge:
    @pytest.mark.parametrize("case", FAULTS)
    def test_what_must_never_be(self, case: str, folder: Scene) -> None:
        spoil, text = FAULTS[case]
        assert judge(folder, [b"good"]).faults == ()
        spoil(folder)
        assert judge(folder, [b"good"]).faults == (text,)

    def test_what_may_be(self, folder: Scene) -> None:
        assert judge(folder, [b"good"]) == scene.Verdict("as before", 0, ())
        folder.target.write_bytes(b"good")
        assert judge(folder, [b"bad", b"good"]) == scene.Verdict("new", 0, ())

    def test_hidden_files(self, folder: Scene) -> None:
        """Complete ones, after a kill, where a file is replaced; parts only where there are no unnamed files."""
        hidden = folder.folder / f"{HIDDEN}1.tmp"
        hidden.write_bytes(b"good")
        assert judge(folder, [b"good"]) == scene.Verdict("as before", 1, ())
        assert judge(folder, [b"good"], killed=False).faults == (f"{hidden.name} of 4 bytes was left",)
        hidden.write_bytes(b"go")
        assert judge(folder, [b"good"], unnamed=False) == scene.Verdict("as before", 1, ())
        hidden.write_bytes(b"good")
        folder.target.unlink()
        folder.before.pop(TARGET)
        assert judge(folder, [b"good"]).faults == (f"{hidden.name} of 4 bytes was left",)

    def test_a_reader_counts_what_is_wrong(self, tmp_path: Path) -> None:
        path = tmp_path / "m"
        replacement = tmp_path / "replacement"
        with races.Reader(path, [b"good"]) as reader:
            for content in (b"good", b"go"):
                replacement.write_bytes(content)
                replacement.replace(path)
                wait_until(lambda: reader.seen[0])
            wait_until(lambda: reader.faults["the reader got 2 bytes of no export"])
            path.unlink()
            wait_until(lambda: reader.faults["the reader found no file where there had been one"])
        assert len(reader.faults) == 2
        assert reader.reads == reader.seen[0] + reader.faults["the reader got 2 bytes of no export"]

    def test_a_claim_tells_the_first_faults(self) -> None:
        claim = scene.claim("all is well", ["a", "a", "b", "c", "d"])
        assert str(claim) == "NOT reached: all is well; a; b; c; 5 faults in all"
        assert str(scene.claim("all is well", [])) == "reached: all is well"


def wait_until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end


class TestDisks:
    def test_a_disk_that_cannot_be_mounted(self, made: Subject, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        failed = SimpleNamespace(returncode=32, stderr="mount: permission denied\n")
        monkeypatch.setattr(subprocess, "run", lambda *args, **options: failed)
        with pytest.raises(disks.NoDiskError, match=r"^mount: permission denied$"):
            disks.on_disk("tmpfs", made, warm, root)

    def test_no_mkfs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with disks.mounted("ext4", tmp_path / "disk") as why:
            assert why == "there is no mkfs.ext4"


class TestCommand:
    @pytest.mark.parametrize(("reached", "code"), [(True, 0), (False, 1)])
    def test_the_exit_code(
        self,
        reached: bool,
        code: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        section = Section("Table", "How.", ("x",), (("1",),), (scene.claim("good", [] if reached else ["bad"]),))
        for part in command.PARTS:
            monkeypatch.setitem(command.SECTIONS, part, lambda *_: iter([section]))
        monkeypatch.setattr(subject, "make", lambda *_: Subject(b"", {}))
        assert command.main(["--write", str(tmp_path / "page.md")]) == code
        assert (tmp_path / "page.md").read_text().count("## Table") == len(command.PARTS)
        assert capsys.readouterr().out.count("reached: good") == len(command.PARTS)

    def test_unknown_part(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            command.main(["floods"])
        assert (
            "no such part: floods; there are kills, hidden-kills, steps, disks, folders, races, proofs\n"
            in capsys.readouterr().err
        )
