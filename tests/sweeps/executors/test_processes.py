"""Sweeps in real worker processes, and what may happen to them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import nalu_export
from nalu_export import InputError
from nalu_export.sweeps.executors.processes import Processes
from nalu_export.sweeps.task import Limits, Task
from tests.io.test_targets import small_disk
from tests.sweeps.conftest import Zoo, names_in

__all__ = ["small_disk"]

# Code of a user, for state_dicts of a small head: what it does besides is the fault of a test.
NET = """
import os, signal, time
from pathlib import Path
from nalu_export import NALU

HERE = Path(__file__).parent

def build():
    with open(HERE / "built", "a") as file:
        file.write(f"{os.getpid()}\\n")
    return NALU(2, 1)

def slow():
    time.sleep(0.25)
    return build()

def once():
    if not (HERE / "once").exists():
        (HERE / "once").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return build()

def always():
    os.kill(os.getpid(), signal.SIGSEGV)

def leaves():
    os._exit(0)

def endless():
    (HERE / "pid").write_text(str(os.getpid()))
    while True:
        time.sleep(1)

def greedy():
    return [bytearray(2**28) for _ in range(64)]
"""


def listed(folder: Path, **codes: str) -> str:
    """A list in which the named checkpoints are built by functions of ``net.py``; the others are read as they are."""
    (folder / "net.py").write_text(NET, encoding="utf-8")
    rows = []
    for path in sorted(folder.glob("*.pt")):
        code = codes.get(path.stem)
        rows.append({"path": path.name} | ({"model": f"{folder}/net.py:{code}"} if code else {}))
    (folder / "list.txt").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return f"@{folder}/list.txt"


def recorded(out: Path) -> list[dict[str, object]]:
    """The complete lines of a manifest."""
    text = (out / "manifest.jsonl").read_text(encoding="utf-8") if (out / "manifest.jsonl").exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
def test_what_happens_to_one_file_does_not_happen_to_the_others(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo(6)
    # A pickle of 60 tuples, each of which holds the one before it twice: 2^60 items for whoever walks through it.
    (folder / "poison.pt").write_bytes(b"\x80\x02]" + b"2\x86" * 60 + b".")
    sources = listed(folder, m0="once", m1="always", m2="endless", m3="leaves", m4="greedy")
    found = nalu_export.sweep(
        sources, tmp_path / "out", jobs=2, samples=4, trust=True, file_timeout=10, max_memory=2**31
    )
    said = {Path(record.path).stem: (str(record.status), record.error) for record in found.records}
    assert said["m0"] == ("passed", ""), "its worker was killed once"
    assert said["m1"] == ("crashed", "its worker was ended by SIGSEGV in a library or a runtime")
    assert said["m2"] == ("crashed", "took longer than 10 seconds")
    assert said["m3"] == ("crashed", "its worker ended by itself, by code of the model or of a library")
    assert said["m4"][0] == "refused"
    assert "MemoryError" in said["m4"][1] or "memory" in said["m4"][1]
    assert said["m5"] == ("passed", "")
    assert said["poison"][0] == "refused"
    assert [name for name in names_in(found.out) if name.endswith(".onnx")] == ["m0.onnx", "m5.onnx"]
    assert Counter(row["name"] for row in recorded(found.out)) == Counter(list(said))


@pytest.mark.slow
def test_a_script_needs_no_guard_and_a_worker_has_one_thread(zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo(1)
    (folder / "net.py").write_text(
        "import torch, os, signal\nfrom nalu_export import NALU\n"
        "def build():\n"
        "    assert torch.get_num_threads() == 1\n"
        "    assert os.environ['OMP_NUM_THREADS'] == '1'\n"
        "    print('noise')\n"
        "    return NALU(2, 1)\n",
        encoding="utf-8",
    )
    script = tmp_path / "script.py"
    script.write_text(
        "import nalu_export\n"
        f"net = {str(folder / 'net.py')!r} + ':build'\n"
        f"print(nalu_export.sweep({str(folder)!r}, 'out', jobs=1, samples=4, model=net))\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "<Sweep: out, 1 checkpoints, 1 passed>\n")
    alone = nalu_export.export(folder / "m0.pt", samples=4)
    report = json.loads((tmp_path / "out/reports/m0.json").read_text(encoding="utf-8"))
    assert {info["details"]["threads"] for info in report["runtimes"]} == {"1"}
    assert len((tmp_path / "out/m0.onnx").read_bytes()) == len(alone.data)


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on(zoo: Zoo, tmp_path: Path) -> None:
    """Whatever had a result when it was killed is not touched again."""
    folder, out = zoo(8), tmp_path / "out"
    (folder / "net.py").write_text(NET, encoding="utf-8")
    command = [sys.executable, "-m", "nalu_export", "sweep", str(folder), "-o", str(out), "--jobs", "2"]
    command += ["--samples", "4", "--model", f"{folder}/net.py:slow", "-q"]
    process = subprocess.Popen(command, start_new_session=True)
    while len(recorded(out)) < 3:
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # The workers are in process groups of their own, and die with their parent.
    pids = {int(line) for line in (folder / "built").read_text(encoding="utf-8").split()}
    ends = time.monotonic() + 10
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < ends, "a worker goes on"
        time.sleep(0.02)
    with (out / "manifest.jsonl").open("ab") as file:
        file.write(b'{"schema": "nalu_export.sweep/1", "path": "torn')
    before = {str(row["name"]): _identity(out / str(row["artifact"])) for row in recorded(out)}
    assert 3 <= len(before) < 8
    built = len((folder / "built").read_text(encoding="utf-8").split())
    done = subprocess.run([*command[:-1], "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reused"] == len(before)
    assert {name: _identity(out / f"{name}.onnx") for name in before} == before
    assert Counter(row["name"] for row in recorded(out)) == Counter(f"m{number}" for number in range(8))
    # Only what was in the two workers when they died is done again.
    again = len((folder / "built").read_text(encoding="utf-8").split()) - built
    assert built + again <= 8 + 2


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_worker_that_is_busy_dies_with_the_sweep(number: signal.Signals, zoo: Zoo, tmp_path: Path) -> None:
    folder = zoo(1)
    (folder / "net.py").write_text(NET, encoding="utf-8")
    command = [sys.executable, "-m", "nalu_export", "sweep", str(folder), "-o", str(tmp_path / "out"), "--jobs", "1"]
    process = subprocess.Popen([*command, "--model", f"{folder}/net.py:endless"], stderr=subprocess.DEVNULL)
    pid = folder / "pid"
    while not (pid.exists() and pid.read_text(encoding="utf-8")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    process.wait()
    ends = time.monotonic() + 10
    while _runs(int(pid.read_text(encoding="utf-8"))):
        assert time.monotonic() < ends, "the worker goes on"
        time.sleep(0.02)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@pytest.mark.slow
def test_ctrl_c(zoo: Zoo, tmp_path: Path) -> None:
    folder, out = zoo(6), tmp_path / "out"
    (folder / "net.py").write_text(NET, encoding="utf-8")
    command = [sys.executable, "-m", "nalu_export", "sweep", str(folder), "-o", str(out), "--jobs", "1"]
    command += ["--samples", "4", "--model", f"{folder}/net.py:slow", "-q"]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    while not recorded(out):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "nalu-export: interrupted\n")
    count = len(recorded(out))
    assert 1 <= count < 6
    found = nalu_export.sweep(folder, out, jobs=1, samples=4, model=f"{folder}/net.py:slow")
    assert (found.passed, found.reused) == (True, count)


@pytest.mark.slow
def test_a_full_disk(zoo: Zoo, small_disk: Path) -> None:
    folder = zoo(8)
    with pytest.raises(InputError) as caught:
        nalu_export.sweep(folder, small_disk / "out", jobs=1, samples=4)
    assert "No space left on device; " in str(caught.value)
    assert str(caught.value).endswith(" of 8 files are done; the same call goes on from there")
    done = [row["name"] for row in recorded(small_disk / "out")]
    assert f"; {len(done)} of 8 files are done" in str(caught.value)
    for name in done:
        assert (small_disk / "out" / f"{name}.onnx").exists()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    found = nalu_export.sweep(folder, small_disk / "out", jobs=1, samples=4)
    assert (found.passed, found.reused) == (True, len(done))


def test_workers_that_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They say why, and are not started again and again."""
    monkeypatch.setattr(
        "nalu_export.sweeps.worker._PROGRAM", "import sys; sys.exit('no torch here') # {path} {end} {parent}"
    )
    task = Task("a", "a", "a", "0", {}, "0", "t", "onnx", "a.onnx")
    executor = Processes(1, Limits())
    with pytest.raises(InputError, match=r"^the worker processes cannot be started: .*: no torch here$"):
        list(executor.answers(iter([task])))
    executor.close()


def test_few_files_are_read_ahead(zoo: Zoo, tmp_path: Path) -> None:
    """The memory does not grow with the number of files."""
    drawn = []

    def tasks() -> object:
        for number in range(50):
            drawn.append(number)
            yield Task("none.pt", "none.pt", "none", "0", {}, "0", "t", "onnx", "none.onnx")

    executor = Processes(1, Limits())
    answers = executor.answers(tasks())  # type: ignore[arg-type]
    for count in range(1, 6):
        next(answers)
        assert len(drawn) <= count + 2
    answers.close()  # type: ignore[attr-defined]
    executor.close()
