"""Small programs that speak the protocol of ``nalu_export.runtimes._program``, well or badly."""

import os
import sys
from pathlib import Path

import pytest

from nalu_export.errors import RuntimeUnavailableError
from nalu_export.runtimes._program import FOLDER, find_program

#: Where ``make cpp`` builds them.
BUILT = Path(__file__).parents[2] / "examples" / "cpp" / "build"
#: The program of each runtime that has one, which ``make cpp`` builds.
PROGRAMS = {"libtorch": "libtorch_infer", "onnxruntime-cpp": "onnxruntime_infer"}

PRELUDE = """
import os, signal, struct, sys, time

out, given = os.dup(1), sys.stdin.buffer


def put(data):
    while data:
        data = data[os.write(out, data) :]


def say(status, text):
    put(struct.pack("<II", status, len(text)) + text)


def hello(**facts):
    known = dict(library="fake 1.0", device="CPU", provider="Fake", options="a=1", threads="1") | facts
    say(0, "".join(f"{key}\\t{value}\\n" for key, value in known.items() if value is not None).encode())


def request():
    head = given.read(4)
    if not head:
        sys.exit(0)
    return [tensor() for _ in range(*struct.unpack("<I", head))]


def tensor():
    code, rank = struct.unpack("<II", given.read(8))
    shape = struct.unpack(f"<{rank}Q", given.read(8 * rank))
    count = {1: 4, 2: 8, 3: 4, 4: 8, 5: 1}[code]
    for size in shape:
        count *= size
    return code, shape, given.read(count)


def answer(tensors):
    put(struct.pack("<II", 0, len(tensors)))
    for code, shape, data in tensors:
        put(struct.pack(f"<II{len(shape)}Q", code, len(shape), *shape) + data)


def serve():
    while True:
        answer(request())
"""


def program(path: Path, body: str) -> Path:
    """A program that does this after the prelude; :func:`serve` gives back what it is given."""
    path.write_text(f"#!{sys.executable} -S\n{PRELUDE}\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def use_built(runtime: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the folder of the real programs, unless it is named; skip the test where that of a runtime is not built."""
    monkeypatch.setenv(FOLDER, os.environ.get(FOLDER) or str(BUILT))
    try:
        find_program(runtime, PROGRAMS[runtime])
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
