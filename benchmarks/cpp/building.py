"""Builds the timed programs, each once, with the compilers and libraries that are here."""

import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.cpp import build as example
from examples.cpp.build import MissingError

HERE = Path(__file__).resolve().parent
COMPILERS = ("g++", "clang++")
NO_COMPILER = "there is no C++ compiler here, neither g++ nor clang++"
FASTEST = ("-O3", "-march=native")


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes:
        name: its command.
        version: ``12.2.0``.
    """

    name: str
    version: str


def compilers() -> tuple[Compiler, ...]:
    """Those that are here; the first one builds what needs one compiler only."""
    return tuple(Compiler(name, _version(name)) for name in COMPILERS if shutil.which(name))


def _version(name: str) -> str:
    first = subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]
    found = re.findall(r"\d+\.\d+\.\d+", first)
    return found[-1] if found else first


@dataclass(frozen=True)
class Workshop:
    """A folder for what is built and for the models.

    Attributes:
        folder: the folder.
        compilers: what builds.
    """

    folder: Path
    compilers: tuple[Compiler, ...]

    def build(self, compiler: Compiler, source: str, target: str, flags: Sequence[str]) -> Path:
        """A program from a source beside this file, if it is not there yet.

        Raises:
            RuntimeError: the compiler refuses it.
        """
        program = self.folder / target
        if not program.exists():
            # Libraries stand after what needs them.
            command = [compiler.name, str(HERE / source), "-o", str(program), *flags]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()
                raise RuntimeError(f"{compiler.name} does not compile {source}: {errors[0] if errors else 'no reason'}")
        return program

    def header(self, compiler: Compiler, header: Path, flags: Sequence[str]) -> Path:
        """The program that times a header."""
        target = "_".join((header.stem, compiler.name, *(flag.strip("-").replace("=", "_") for flag in flags)))
        return self.build(compiler, "header.cpp", target, ("-std=c++17", *flags, f'-DNALU_HEADER="{header}"'))

    def floor(self, compiler: Compiler) -> Path:
        """The program that times exp, log and multiply-add."""
        return self.build(compiler, "floor.cpp", f"floor_{compiler.name}", ("-std=c++17", *FASTEST))

    def onnxruntime(self) -> Path:
        """The program that times ONNX Runtime.

        Raises:
            MissingError: there is no library or there are no headers.
        """
        library = example.link_libraries(example.package("onnxruntime") / "capi", self.folder / "onnxruntime_libraries")
        flags = ("-std=c++17", "-O3", f"-isystem{_onnxruntime_headers()}")
        linking = (str(library), f"-Wl,-rpath,{library.parent}")
        return self.build(self.compilers[0], "onnxruntime.cpp", "onnxruntime", (*flags, *linking))

    def libtorch(self) -> Path:
        """The program that times libtorch.

        Raises:
            MissingError: torch is not here, or without what C++ needs.
        """
        torch = example.package("torch")
        headers, libraries = torch / "include", torch / "lib"
        if not (headers / "torch" / "script.h").is_file():
            raise MissingError(f"{torch} has no headers for C++")
        # libtorch's own headers need C++20.
        flags = ("-std=c++20", "-O3", f"-isystem{headers}", f"-isystem{headers / 'torch' / 'csrc' / 'api' / 'include'}")
        linking = (f"-L{libraries}", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{libraries}")
        return self.build(self.compilers[0], "libtorch.cpp", "libtorch", (*flags, *linking))


def _onnxruntime_headers() -> Path:
    """The system's, or those that ``make cpp`` fetches; they stay in its folder."""
    folder = example.HERE / "build"
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return example.find_headers(folder)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """An empty one, which is gone afterwards."""
    with TemporaryDirectory() as folder:
        yield Workshop(Path(folder), compilers())
