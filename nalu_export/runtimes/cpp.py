"""An exported C++ header, compiled by the system's compiler and run as a separate program."""

import contextlib
import math
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.formats.cpp.format import FORMAT, struct_of
from nalu_export.io.text import printable
from nalu_export.runtimes._program import ProgramSession
from nalu_export.runtimes.base import RunOptions, Runtime, Session

Array = NDArray[np.generic]
DRIVER = Path(__file__).with_name("_cpp_driver.cpp")
COMPILERS = ("c++", "g++", "clang++")
STANDARD = "-std=c++17"
# A release build and a debug build.
LEVELS = ("-O3", "-O0")
COMPILE_SECONDS = 600.0
# Bytes of a compiler's messages that are read.
MAX_ERRORS = 2**16
_REASON = re.compile(r"(?:fatal )?error: (.*)")


class CppSession(Session):
    """A session of one header at two optimisation levels, whose results have to agree in every bit.

    Args:
        data: the header.
        compiler: command and flags.

    Raises:
        RuntimeUnavailableError: the compiler cannot be run.
        InputError: the compiler refuses the header, or the compiled program does not start.
    """

    def __init__(self, data: bytes, compiler: Sequence[str]) -> None:
        self._data, self._signature = data, FORMAT.signature(data)
        with contextlib.ExitStack() as started:
            # A running program does not need its file any more.
            with tempfile.TemporaryDirectory(prefix="nalu_export-") as folder:
                self._programs = []
                for path in _compile(data, compiler, Path(folder)):
                    self._programs.append(ProgramSession("cpp", [str(path)]))
                    started.callback(self._programs[-1].close)
            self._end = started.pop_all()
        version = _version(compiler)
        self.where = f"{version} {' and '.join(LEVELS)}, CPU"
        self.details = {
            "library": version,
            "device": "CPU",
            "provider": "header",
            "options": " ".join([*compiler[1:], *LEVELS]),
            "threads": "1",
        }

    def close(self) -> None:
        """End both programs."""
        self._end.close()

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """See :meth:`Session.run`; the program itself compares each sample of the batch with a run of it alone."""
        first, *others = (program.run(inputs) for program in self._programs)
        shapes = self._shapes(first)
        for level, other in zip(LEVELS[1:], others, strict=True):
            if [(out.dtype, out.shape) for out in first] != [(out.dtype, out.shape) for out in other]:
                raise InputError(f"cpp: {LEVELS[0]} and {level} give outputs of different types or shapes")
            different = _differing(first, other)
            if different:
                raise InputError(f"cpp: {LEVELS[0]} and {level} differ in {different} of {len(first[0])} samples")
        return tuple(out.reshape(shape) for out, shape in zip(first, shapes, strict=True))

    def values(self, inputs: Sequence[Array], names: Sequence[str]) -> dict[str, Array]:
        """See :meth:`Session.values`; only the weights in the header are shown."""
        del inputs
        held = FORMAT.read_weights(self._data, trust=True)
        return {name: held[name] for name in names if name in held}

    def _shapes(self, outputs: Sequence[Array]) -> list[tuple[int, ...]]:
        """Return the output shapes that the header declares; the program gives only the numbers per sample.

        Raises:
            InputError: the program's outputs contradict the header.
        """
        shapes = [out.shape for out in outputs]
        dtypes = [out.dtype.name for out in outputs]
        if self._signature is not None:
            specs = self._signature[1]
            said = [tuple(map(int, spec.shape[1:])) for spec in specs]
            if dtypes == [spec.dtype for spec in specs] and [shape[1:] for shape in shapes] == [
                (math.prod(shape),) for shape in said
            ]:
                return [(own[0], *shape) for own, shape in zip(shapes, said, strict=True)]
        elif dtypes == ["float32"] and len(shapes[0]) == 2:
            return shapes
        raise InputError("cpp: the number, types or sizes of its outputs are not those in its comment; export it again")


def _differing(first: Sequence[Array], other: Sequence[Array]) -> int:
    """Count the samples with an output of other bits; NaNs count as equal, because their bits are not specified."""
    different = np.zeros(len(first[0]), np.bool_)
    for a, b in zip(first, other, strict=True):
        bits = np.dtype(f"u{a.itemsize}")
        same = (a.view(bits) == b.view(bits)) | ((a != a) & (b != b))
        different |= ~same.all(axis=1)
    return int(different.sum())


def _compile(data: bytes, compiler: Sequence[str], folder: Path) -> list[Path]:
    """Compile the program at each level, in parallel."""
    try:
        (folder / "model.hpp").write_bytes(data)
    except OSError as error:
        raise InputError(f"cpp: the temporary folder cannot be written: {error.strerror}") from error
    name = Path(compiler[0]).name
    fixed = [f"-I{folder}", f"-DMODEL={struct_of(data)}", str(DRIVER), "-o"]
    programs = [folder / f"model{level}" for level in LEVELS]
    with contextlib.ExitStack() as running:
        started = [
            running.enter_context(_compiling([*compiler, level, *fixed, str(program)], _errors_of(program)))
            for level, program in zip(LEVELS, programs, strict=True)
        ]
        for program, process in zip(programs, started, strict=True):
            try:
                code = process.wait(COMPILE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise InputError(f"cpp: {name} did not finish within {COMPILE_SECONDS:g} s") from error
            if code != 0:
                raise InputError(f"cpp: {name} refuses the file: {_reason(program, code)}")
    return programs


def _errors_of(program: Path) -> Path:
    return program.with_name(f"{program.name}.errors")


def _reason(program: Path, code: int) -> str:
    """Return the first error of a compiler, or its last line."""
    with _errors_of(program).open("rb") as file:
        said = file.read(MAX_ERRORS).decode("utf-8", "replace").replace(f"{program.parent}{os.sep}", "")
    found = _REASON.search(said)
    return printable(found[1] if found else [f"exit code {code}", *said.strip().splitlines()][-1])


@contextlib.contextmanager
def _compiling(command: Sequence[str], errors: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a compiler; on leaving the context, it and all its child processes are gone."""
    with errors.open("wb") as file:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                env={**os.environ, "LC_ALL": "C"},
                process_group=0,
            )
        except OSError as error:
            raise RuntimeUnavailableError(f"cpp: {Path(command[0]).name} cannot be run: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _version(compiler: Sequence[str]) -> str:
    """Return the compiler's name and version, ``g++ 12.2.0``."""
    name = Path(compiler[0]).name
    try:
        done = subprocess.run(
            [*compiler, "-dumpfullversion", "-dumpversion"], capture_output=True, text=True, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return name
    return f"{name} {done.stdout.strip()}".strip()


def find_compiler() -> list[str]:
    """Return the C++ compiler with its flags: ``CXX`` and ``CXXFLAGS`` of the environment, else the system's compiler.

    Raises:
        RuntimeUnavailableError: there is none.
        InputError: one of the two variables does not parse as shell words.
    """
    given, flags = _words("CXX"), _words("CXXFLAGS")
    for name in given[:1] or COMPILERS:
        path = shutil.which(name)
        if path is not None:
            # The standard comes first, so that a standard in the flags overrides it.
            return [path, *given[1:], STANDARD, *flags]
    wanted = f"CXX is {given[0]}, which was not found" if given else f"none of {', '.join(COMPILERS)} was found"
    raise RuntimeUnavailableError(f"cpp: {wanted}; install a C++17 compiler, or set CXX to one")


def _words(variable: str) -> list[str]:
    text = os.environ.get(variable, "")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"cpp: {variable} is {printable(text)}: {error}; write it as a shell takes it") from error


class Cpp(Runtime):
    """The header in a separate program, built in a temporary folder at -O3 and at -O0.

    A batch passes only if both builds give the same bits, and each sample the same bits alone as in its batch; the
    numbers are then compared with their bounds as usual. ``CXX`` and ``CXXFLAGS`` set the compiler:
    ``CXXFLAGS=-march=native`` checks that build. Compiling and running a header executes its code.
    """

    name = "cpp"
    format = "cpp"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`; it has one thread, and TF32 does not apply."""
        del model, options
        return CppSession(data, find_compiler())


RUNTIME = Cpp()
