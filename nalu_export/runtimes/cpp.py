"""An exported C++ header, compiled by the system's compiler and run as a program of its own."""

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.formats.cpp import FORMAT, struct_of
from nalu_export.runtimes._program import ProgramSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session
from nalu_export.text import printable

DRIVER = Path(__file__).with_name("_cpp_driver.cpp")
COMPILERS = ("c++", "g++", "clang++")
STANDARD = "-std=c++17"
# As it is shipped, and as it is debugged.
LEVELS = ("-O3", "-O0")
COMPILE_SECONDS = 600.0
_REASON = re.compile(r"(?:fatal )?error: (.*)")


class CppSession(Session):
    """The same header at two optimisation levels, which have to agree in every bit.

    Args:
        data: the header.
        compiler: command and flags.
    """

    def __init__(self, data: bytes, compiler: Sequence[str]) -> None:
        self._data = data
        self._pool = ThreadPoolExecutor(len(LEVELS))
        self._programs = list(self._pool.map(lambda level: _started(data, compiler, level), LEVELS))
        version = _version(compiler)
        self.where = f"{version} {' and '.join(LEVELS)}, CPU"
        self.details = {
            "library": version,
            "device": "CPU",
            "provider": "header",
            "options": " ".join([*compiler[1:], STANDARD, *LEVELS]),
            "threads": "1",
        }

    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        """See :meth:`Session.run`; the program itself compares each sample of the batch with that sample alone."""
        results = list(self._pool.map(lambda program: program.run(x), self._programs))
        first: NDArray[np.generic] = results[0]
        for level, other in zip(LEVELS[1:], results[1:], strict=True):
            different = int((first.view(np.uint32) != other.view(np.uint32)).any(axis=1).sum())
            if different:
                raise InputError(f"cpp: {LEVELS[0]} and {level} differ in {different} of {len(x)} samples")
        return first

    def values(self, x: NDArray[np.float32], names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """See :meth:`Session.values`: the weights, as they stand in the header."""
        del x
        held = FORMAT.read_weights(self._data, trust=True)
        return {name: held[name] for name in names if name in held}


def _started(data: bytes, compiler: Sequence[str], level: str) -> ProgramSession:
    """The program of one optimisation level, in a folder of its own that goes with it."""
    folder = tempfile.TemporaryDirectory(prefix="nalu_export-")
    try:
        path = Path(folder.name)
        (path / "model.hpp").write_bytes(data)
        program = path / f"model{level}"
        _compile(
            [*compiler, STANDARD, level, f"-I{path}", f"-DMODEL={struct_of(data)}", str(DRIVER), "-o", str(program)]
        )
        return ProgramSession("cpp", [str(program)], keep=folder)
    except BaseException:
        folder.cleanup()
        raise


def _compile(command: Sequence[str]) -> None:
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"cpp: {name} is not done after {COMPILE_SECONDS:g} s") from error
    except OSError as error:
        raise RuntimeUnavailableError(f"cpp: {name} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        found = _REASON.search(done.stderr)
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"cpp: {name} refuses the file: {printable(found[1] if found else lines[-1])}")


def _version(compiler: Sequence[str]) -> str:
    """``g++ 12.2.0``."""
    try:
        done = subprocess.run(
            [compiler[0], "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return Path(compiler[0]).name
    return f"{Path(compiler[0]).name} {done.stdout.strip()}".strip()


def find_compiler() -> list[str]:
    """The C++ compiler with its flags: ``CXX`` and ``CXXFLAGS`` of the environment, else the system's.

    Raises:
        RuntimeUnavailableError: there is none.
    """
    given = shlex.split(os.environ.get("CXX", ""))
    for name in given[:1] or COMPILERS:
        path = shutil.which(name)
        if path is not None:
            return [path, *given[1:], *shlex.split(os.environ.get("CXXFLAGS", ""))]
    wanted = f"CXX is {given[0]}, which is not there" if given else f"no {', '.join(COMPILERS)} here"
    raise RuntimeUnavailableError(f"cpp: {wanted}; install a C++17 compiler, or set CXX to one")


class Cpp(Runtime):
    """The header in a program of its own, built in a temporary folder at -O3 and at -O0.

    A batch passes when both give the same bits, and each sample the same bits alone as in its batch; the numbers are
    then held to their bounds like any other. ``CXX`` and ``CXXFLAGS`` say with what: ``CXXFLAGS=-march=native``
    checks what that gives. Compiling and running a header runs what is in it.
    """

    name = "cpp"
    format = "cpp"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; it has one thread, and TF32 does not apply."""
        del model, options
        return CppSession(data, find_compiler())


RUNTIME = Cpp()
