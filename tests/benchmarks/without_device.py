"""What a program for CUDA does on a machine without a device."""

import os
import subprocess
import sys
from pathlib import Path


def assert_needs_a_device(folder: Path, *words: object) -> None:
    """The program ends with exit code 3 and one line, and leaves the folder empty."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("no CUDA runtime runs here, nothing is written: onnxruntime-cuda: ")
    assert "; torch-cuda: torch " in line
    assert list(folder.iterdir()) == []
