"""What running costs, as numbers: models and artifacts that take too much, through every command that runs them."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import pytest

from tests.hostile.running import BOMBS, MEMORY, SECONDS, TIME

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process"),
]

#: Seconds beyond --timeout, for what ends it on a busy machine.
MORE_SECONDS = 12
#: What is refused without --timeout takes no more than this of a processor, a cold start included.
PROCESSOR_SECONDS = 20
#: MiB beyond --max-memory: Python, torch and onnx.
MORE_MEMORY = 500


@pytest.mark.parametrize("name", BOMBS)
def test_it_ends_in_time_and_takes_no_more_than_it_may(name: str, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    bomb.make(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    # What ends by itself may have to wait for a processor.
    timeout = SECONDS if bomb.says == TIME else 20 * SECONDS
    running = [_Running(command, tmp_path, timeout) for command in bomb.commands]
    for one in running:
        code, out, err, seconds, processor, memory = one.ended()
        assert code == bomb.code, (one.command, out, err)
        if bomb.code:
            assert err.startswith("nalu-export: "), (one.command, err)
            assert err.count("\n") == 1, (one.command, err)
            assert bomb.says in err, (one.command, err)
            assert out == ""
        if bomb.says == TIME:
            assert seconds < SECONDS + MORE_SECONDS, one.command
        else:
            assert processor < PROCESSOR_SECONDS, one.command
        assert memory < 1024 + MORE_MEMORY, one.command
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == before


class _Running:
    """A command, with what it takes."""

    def __init__(self, command: tuple[str, ...], folder: Path, seconds: int) -> None:
        self.command, self._begun = command, time.monotonic()
        whole = [sys.executable, "-m", "nalu_export", *command, "--timeout", str(seconds), "--max-memory", MEMORY]
        self._files = [tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2)]  # noqa: SIM115  closed below
        out, err = self._files
        self._process = subprocess.Popen(whole, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def ended(self) -> tuple[int, str, str, float, float, float]:
        """Exit code, what it wrote, seconds, those of a processor, and MiB of the largest of its processes."""
        _, status, usage = os.wait4(self._process.pid, 0)
        seconds = time.monotonic() - self._begun
        self._process.returncode = os.waitstatus_to_exitcode(status)
        out, err = map(_read, self._files)
        processor = usage.ru_utime + usage.ru_stime
        return self._process.returncode, out, err, seconds, processor, usage.ru_maxrss / 1024


def _read(file: IO[str]) -> str:
    with file:
        file.seek(0)
        return file.read()
