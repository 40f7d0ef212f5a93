"""Compiles headers into small programs and runs those."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export import formats
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.cpp.format import FORMAT
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.graph.folding import Compute
from tests.captured import graph_of
from tests.formats.families import MODELS, features_of

Array = NDArray[np.float32]
COMPILERS = ("g++", "clang++")
#: The C compiler that belongs to each.
C = {"g++": "gcc", "clang++": "clang"}
needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", *COMPILERS))), reason="there is no C++ compiler here, which checks a header"
)
#: What an export that is checked is written as, here.
CHECKED = [pytest.param(name, marks=needs_compiler if name == "cpp" else ()) for name in formats.names()]
EMPTY = {"c": "int main(void) { return 0; }\n", "c++": "#include <vector>\nint main() { return 0; }\n"}
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow")
#: What a processor has to have for code that is compiled with these flags.
NEEDED = {"-mavx": "avx", "-mavx2": "avx2", "-mfma": "fma", "-msse4.1": "sse4_1"}


class Build(NamedTuple):
    """A compiler and its flags."""

    compiler: str
    flags: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.compiler, *self.flags))

    def missing(self) -> str:
        """Why this cannot be compiled and run here; empty where it can."""
        if shutil.which(self.compiler) is None:
            return f"there is no {self.compiler} here"
        features = _features()
        lacking = [NEEDED[flag] for flag in self.flags if flag in NEEDED and NEEDED[flag] not in features]
        if lacking:
            return f"this processor has no {', '.join(lacking)}"
        return _problem(self.compiler, tuple(flag for flag in self.flags if flag.startswith(("-std=", "-fsanitize="))))


@cache
def _problem(compiler: str, flags: tuple[str, ...]) -> str:
    """Why not even an empty program comes of a compiler and its flags: clang often has no sanitizers beside it."""
    language = "c" if compiler in C.values() else "c++"
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "empty"), Path(folder, "program")
        source.write_text(EMPTY[language], encoding="ascii")
        done = compile_(Build(compiler, flags), ["-x", language, source, "-o", program], Path(folder))
        if done.returncode == 0:
            done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
    reason = lines[0] if lines else f"exit code {done.returncode}"
    return f"{' '.join((compiler, *flags))} makes no program here: {reason}" if done.returncode else ""


def _features() -> set[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {word for line in lines if line.startswith(("flags", "Features")) for word in line.partition(":")[2].split()}


def skip_unless(build: Build) -> None:
    """Skips a test of a build that is impossible here, and says why."""
    reason = build.missing()
    if reason:
        pytest.skip(reason)


def header(
    model: nn.Module,
    features: int,
    namespace: str = "nalu",
    *,
    compute: Compute = "float32",
    extern_c: bool = False,
    struct: str = "Model",
) -> bytes:
    """A header with one line of metadata."""
    own = CppOptions(namespace=namespace, struct=struct, extern_c=extern_c)
    return FORMAT.emit(graph_of(model, (features,)), EmitOptions(compute=compute), own).to_bytes(
        {"nalu_export.tool": "test"}
    )


def compile_(build: Build, arguments: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Whatever comes of it; messages are in English."""
    command = [build.compiler, *build.flags, *map(str, arguments)]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)


def built(build: Build, source: Path, target: Path, *more: str | Path) -> Path:
    """A program, from a source that has to compile without a word."""
    done = compile_(build, [source, *more, "-o", target], source.parent)
    assert (done.returncode, done.stderr) == (0, ""), f"{build}:\n{done.stderr[:4000]}"
    return target


def side_by_side(source: Path, builds: Iterable[Build], folder: Path, *more: str | Path) -> dict[Build, Path]:
    """A program for each of the builds that are possible here."""
    possible = [build for build in builds if not build.missing()]
    with ThreadPoolExecutor(2) as pool:
        targets = pool.map(
            lambda numbered: built(numbered[1], source, folder / f"{source.stem}_{numbered[0]}", *more),
            enumerate(possible),
        )
        return dict(zip(possible, targets, strict=True))


def run(program: Path, given: bytes = b"", *arguments: str) -> bytes:
    """What a program writes, which has to end well and complain about nothing."""
    done = subprocess.run([program, *arguments], input=given, capture_output=True, timeout=900, check=False)
    assert (done.returncode, done.stderr) == (0, b""), (
        f"{program.name} ended with {done.returncode}: {done.stderr[:4000]!r}"
    )
    return done.stdout


def together(folder: Path, cases: Iterable[tuple[str, Compute]], sizes: Sequence[int]) -> tuple[Path, list[str], bytes]:
    """models.cpp with several models: the source, the flags that it needs, and samples for its stdin.

    Args:
        folder: where to.
        cases: names of models of families.py and the types that compute.
        sizes: of the batches.
    """
    includes, runs, samples = [], [], []
    for name, compute in cases:
        namespace, features = f"{name}_{compute}", features_of(name)
        (folder / f"{namespace}.hpp").write_bytes(header(model(name), features, namespace, compute=compute))
        includes.append(f'#include "{namespace}.hpp"')
        runs.append(f"RUN({namespace}::Model)")
        samples.append(inputs(sum(sizes), features).tobytes())
    (folder / "all.hpp").write_text("\n".join([*includes, f"#define MODELS {' '.join(runs)}", ""]), encoding="ascii")
    source = folder / "models.cpp"
    source.write_bytes(Path(__file__).with_name("models.cpp").read_bytes())
    return source, ['-DHEADERS="all.hpp"', f"-DSIZES={','.join(map(str, sizes))}"], b"".join(samples)


def model(name: str) -> nn.Module:
    """A model of families.py, each time the same."""
    torch.manual_seed(0)
    return MODELS[name]()


def inputs(samples: int, features: int) -> Array:
    """Numbers of every size and sign, and in some samples whatever else a float can be."""
    rng = np.random.default_rng(samples * features)
    x = rng.standard_normal((samples, features)) * 10.0 ** rng.integers(-3, 3, (samples, features))
    x[rng.random(x.shape) < 0.05] = 0.0
    odd = rng.random((samples, 1)) < 0.25
    for value in (-0.0, 1e-40, 3e38, np.inf, -np.inf, np.nan):
        x[odd & (rng.random(x.shape) < 0.1)] = value
    return x.astype(np.float32)


def numbers(data: bytes) -> Array:
    """Floats; every NaN is the same one."""
    found = np.frombuffer(data, np.float32).copy()
    found[np.isnan(found)] = np.nan
    return found
