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

DRIVER = Path(__file__).with_name("_cpp_driver.cpp")
COMPILERS = ("c++", "g++", "clang++")
STANDARD = "-std=c++17"
# As it is shipped, and as it is debugged.
LEVELS = ("-O3", "-O0")
COMPILE_SECONDS = 600.0
_LINES = re.compile(r"(?:fatal )?error: (.*)")


class CppSession(Session):
    """The same header at two optimisation levels, which have to agree in every bit.

    Args:
        data: the header.
        compiler: command and flags.
    """

    def __init__(self, data: bytes, compiler: Sequence[str]) -> None:
        self._data = data
        folder = tempfile.TemporaryDirectory(prefix="nalu_export-")
        path = Path(folder.name)
        (path / "model.hpp").write_bytes(data)
        struct = struct_of(data)
        try:
            with ThreadPoolExecutor(len(LEVELS)) as pool:
                programs = list(pool.map(lambda level: _compile(compiler, level, path, struct), LEVELS))
            self._sessions = [ProgramSession("cpp", [str(program)], keep=folder) for program in programs]
        except BaseException:
            folder.cleanup()
            raise
        self._pool = ThreadPoolExecutor(len(LEVELS))
        self.where, self.details = self._sessions[0].where, self._sessions[0].details

    def run(self, x: NDArray[np.float32]) -> NDArray[np.generic]:
        """See :meth:`Session.run`; the program itself compares each sample of the batch with that sample alone."""
        results = list(self._pool.map(lambda session: session.run(x), self._sessions))
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


def _compile(compiler: Sequence[str], level: str, folder: Path, struct: str) -> Path:
    target = folder / f"model{level}"
    facts = {
        "library": f"{_version(compiler)} {level}",
        "device": "CPU",
        "provider": "header",
        "options": " ".join([*compiler[1:], STANDARD]),
        "threads": "1",
    }
    text = "".join(f"{key}\t{value}\n" for key, value in facts.items())
    octal = "".join(f"\\{byte:03o}" for byte in text.encode())
    command = [
        *compiler,
        STANDARD,
        level,
        f'-DMODEL_HEADER="{folder / "model.hpp"}"',
        f"-DMODEL_STRUCT={struct}",
        f'-DMODEL_FACTS="{octal}"',
        str(DRIVER),
        "-o",
        str(target),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"cpp: {compiler[0]} {level} is not done after {COMPILE_SECONDS:g} s") from error
    except OSError as error:
        raise RuntimeUnavailableError(f"cpp: {compiler[0]} cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        found = _LINES.search(done.stderr)
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise InputError(f"cpp: {compiler[0]} {level} refuses the file: {found[1] if found else lines[-1]}")
    return target


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
