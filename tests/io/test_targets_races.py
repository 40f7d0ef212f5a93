"""nalu_export.io.targets: writers that are killed, and several writers of one path."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Writes complete contents for ever: a header with the length and hash of the body, so that a part shows.
WRITER = """
import hashlib, os, sys
from pathlib import Path
from nalu_export.io.targets import write_atomically
if sys.argv[2] == "hidden":
    del os.O_TMPFILE
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    body = f"{os.getpid()} {number} ".encode() * (20_000 if number % 2 else 100)
    write_atomically(path, hashlib.sha256(body).digest() + body)
    if number == 1:
        print("ready", flush=True)
"""


def is_complete(data: bytes) -> bool:
    return hashlib.sha256(data[32:]).digest() == data[:32]


@contextlib.contextmanager
def writer(path: Path, way: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), way], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.quick(1)
@pytest.mark.parametrize(("way_by_name", "kills"), [("unnamed", 40), ("hidden", 10)])
def test_kill_9_leaves_no_part(way_by_name: str, kills: int, tmp_path: Path) -> None:
    """Whenever the writer dies, the target is complete. Where files without a name exist nothing else is there but,
    at most, a complete file that was about to get its name.
    """
    path, rng = tmp_path / "m.onnx", random.Random(0)
    seen = set()
    for _ in range(kills):
        with writer(path, way_by_name) as process:
            time.sleep(rng.uniform(0.0, 0.03))
            process.send_signal(signal.SIGKILL)
            process.wait()
        others = [tmp_path / name for name in os.listdir(tmp_path) if name != path.name]
        assert all(other.name.startswith(".nalu_export.") and other.suffix == ".tmp" for other in others)
        for complete in [path] * path.exists() + others * (way_by_name == "unnamed"):
            data = complete.read_bytes()
            assert is_complete(data), complete
            seen.add(hashlib.sha256(data).hexdigest())
        for other in others:
            other.unlink()
    assert len(seen) > 3, "the writer was killed before it wrote anything"
    assert not is_complete(path.read_bytes()[:-1]), "a part would not be noticed"


@pytest.mark.parametrize("way_by_name", ["unnamed", "hidden"])
def test_writers_of_one_path_do_not_mix(way_by_name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hashlib.sha256(b"").digest())
    lengths = set()
    with writer(path, way_by_name), writer(path, way_by_name):
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            data = path.read_bytes()
            assert is_complete(data)
            lengths.add(len(data))
    assert min(lengths) < 2_000 < 100_000 < max(lengths)


# Dies by kill -9 before the first, second, third … line that the writing comes to, each time in another process, and
# says after each what is in the folder.
STEPS = """
import json, os, shutil, signal, sys
from pathlib import Path
from nalu_export.io import targets
if sys.argv[2] == "hidden":
    del os.O_TMPFILE
folder, has_old, step = Path(sys.argv[1]), sys.argv[3] == "old", 0

def die_before(step):
    def at_line(frame, event, argument):
        nonlocal step
        step -= event == "line"
        if not step:
            os.kill(os.getpid(), signal.SIGKILL)
        return at_line
    return lambda frame, event, argument: at_line if frame.f_code.co_filename == targets.__file__ else None

status = None
while status != 0:
    step += 1
    folder.mkdir()
    if has_old:
        (folder / "m.onnx").write_bytes(b"old")
    child = os.fork()
    if not child:
        sys.settrace(die_before(step))
        targets.write_atomically(folder / "m.onnx", b"new")
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(json.dumps([status, {path.name: path.read_text() for path in folder.iterdir()}]))
    shutil.rmtree(folder)
"""


@pytest.mark.parametrize("old", ["old", "none"])
@pytest.mark.parametrize("way", ["unnamed", "hidden"])
def test_kill_9_before_every_line(way: str, old: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STEPS, str(tmp_path / "f"), way, old]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert [status for status, _ in steps] == [signal.SIGKILL] * (len(steps) - 1) + [0]
    before = "old" if old == "old" else None
    targets = [there.pop("m.onnx", None) for _, there in steps]
    assert {*targets} == {before, "new"}
    assert targets == sorted(targets, key=["old", None, "new"].index), "not even for one step the other way"
    left = [there for _, there in steps if there]
    assert all(len(there) == 1 and next(iter(there)).startswith(".nalu_export.") for there in left)
    if way == "unnamed":  # the moment between link and rename, which is not needed where nothing is replaced
        assert [[*there.values()] for there in left] == [["new"]] * len(left)
        assert bool(left) is (old == "old")
        assert len(left) <= 5
