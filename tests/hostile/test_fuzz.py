"""The fuzzer finds what is planted, and its table says so."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from fuzz.run import Result, problem
from fuzz.targets import TARGETS

needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris is not installed; pip install 'nalu_export[fuzz]'"
)
PLANTED = {
    "code that runs": (
        "import pickle, nalu_export.checkpoints._torch_zip as at\n"
        "def run(archive):\n    try:\n        return pickle.loads(bytes(archive.get('data.pkl')))\n"
        "    except Exception:\n        return {}\n"
        "at.read = run\n",
        "StrayError: load: [",
    ),
    "a hang": (
        "import nalu_export.checkpoints._torch_zip as at\n"
        "from tests.hostile import readers\n"
        "def hang(archive):\n    while readers.hanging: pass\n    return {}\n"
        "readers.hanging, at.read = False, hang\n",
        "",
    ),
}


@pytest.mark.slow
@needs_atheris
@pytest.mark.parametrize("case", PLANTED)
def test_what_is_planted_is_found(case: str, tmp_path: Path) -> None:
    plant, text = PLANTED[case]
    begin = "import fuzz.harness as harness\nbefore = harness.warm\ndef warm(made):\n    before(made)\n"
    late = "".join(f"    {line}\n" for line in plant.splitlines())
    if case == "a hang":
        late += "    readers.hanging = True\n"
    script = f"{begin}{late}harness.warm = warm\nharness.main()\n"
    command = [sys.executable, "-c", script, "programs", str(tmp_path), "30"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode != 0, done.stderr.decode("utf-8", "replace")[-2000:]
    assert not (tmp_path / "stats.json").exists()
    report = tmp_path / "found" / "report.txt"
    assert report.exists() == bool(text)
    if text:
        assert text in report.read_text(encoding="utf-8")


def result(code: int = 0, runs: int = 100) -> Result:
    log = f"#9 DONE cov: 12 ft: 3\nDone {runs} runs in 1 second(s)\nstat::peak_rss_mb:              265\n"
    stats = {"inputs": runs, "slowest": 0.0123, "outcomes": {"read": 40, "refused": 1060}}
    return Result("programs", code, log, Path("/nowhere"), 2.4, stats)


def test_a_row_of_the_table() -> None:
    assert result().row() == ("programs", "100", "1,100", "40", "1,060", "12", "12 ms", "265 MB", "2 s")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (result(), None),
        (result(code=77), "programs: exit code 77; what it was is in /nowhere\n"),
        (result(runs=99), "programs: 99 of 100 inputs were run\n"),
        (Result("programs", 0, "", Path("/nowhere"), 0.0), "programs: 0 of 100 inputs were run\n"),
    ],
)
def test_what_counts_as_a_fault(found: Result, text: str | None) -> None:
    said = problem(found, 100)
    assert said is None if text is None else (said or "").startswith(text)


def test_there_are_inputs_enough() -> None:
    assert sum(target.runs for target in TARGETS.values()) >= 200_000


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_starts_from_good_inputs_and_changes_them(name: str) -> None:
    target = TARGETS[name]
    made = target.seeds()
    assert all(target.wrap(data) for data in made)
    changed = [target.mutate(data, Random(index)) for data in made for index in range(5)]
    assert len(set(changed)) > len(made)
    assert changed == [target.mutate(data, Random(index)) for data in made for index in range(5)]
