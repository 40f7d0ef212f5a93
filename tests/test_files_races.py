"""nalu_export.files: writers that are killed, and several writers of one path."""

import contextlib
import hashlib
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
from nalu_export.files import write_atomically
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
