"""nalu_export.process.memory: sizes, what is free, and a process that gets no more."""

import subprocess
import sys

import pytest

from nalu_export import InputError
from nalu_export.process.memory import allowed, allowing, free, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("1000", 1000), ("500MB", 500 * 10**6), ("2GiB", 2 * 2**30), ("1.5G", 1_500_000_000),
        (" 3 kib ", 3 * 1024), ("2T", 2 * 10**12), ("1b", 1),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1X", "1e9", "GiB", "0.0001", "1" * 30, "١", "nan", "1GiBB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InputError, match=r"is not a memory size; write 2GiB, 500MB or a number of bytes$"):
        parse_size(text)


def test_what_may_be_taken() -> None:
    found = free()
    assert found is None or found > 2**20
    with allowing(100):
        assert allowed() == 100
        with allowing(None):
            assert allowed() == 100
    half = allowed()
    assert half is None or (found is not None and abs(half - found / 2) < found / 4)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a process writes to")
def test_a_process_that_is_confined_gets_no_more() -> None:
    code = (
        "from nalu_export.process.memory import confine\n"
        "confine(200 * 2**20); a = bytearray(100 * 2**20)\n"
        "try:\n    b = bytearray(200 * 2**20)\nexcept MemoryError:\n    print('no more')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"no more\n")
