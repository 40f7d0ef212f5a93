"""A header gives the same bits however it is compiled, compiles without a word, and touches no memory but its own."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export.graph.folding import COMPUTE, Compute
from tests.formats.families import MODELS, features_of
from tests.formats.programs import (
    COMPILERS,
    WARNINGS,
    Build,
    built,
    compile_,
    header,
    inputs,
    model,
    numbers,
    run,
    side_by_side,
    skip_unless,
    together,
)

#: Less than a vector, a vector, a block, one more and one less of each, for vectors of any width; and no sample at all.
SIZES = (0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 100)
#: Every kind of stage.
KINDS: list[tuple[str, Compute]] = [(name, "float32") for name in ("every", "fused", "later")]
KINDS.append(("every", "float64"))
#: Every width of a tile, and sums over several spans: much code, so it is compiled less often.
WIDE: list[tuple[str, Compute]] = [("wide", "float32")]
TARGETS: tuple[tuple[str, ...], ...] = ((), ("-mavx2", "-mfma"), ("-march=native",), ("-DNALU_EXPORT_NO_SIMD",))


def _builds(*levels: str) -> list[Build]:
    """The standards by turns; GCC fuses a product and a sum in all of them where it can."""
    standards = itertools.cycle(("-std=c++17", "-std=c++20", "-std=gnu++17", "-std=gnu++20"))
    return [
        Build(compiler, (next(standards), level, *WARNINGS, *target))
        for compiler in COMPILERS
        for target in TARGETS
        for level in levels
    ]


Results = dict[Build, tuple[bool, bytes]]


def _fuses(build: Build, folder: Path) -> bool:
    """Whether the compiler may use a fused multiply-add."""
    done = compile_(build, ["-x", "c++", "-dM", "-E", "/dev/null"], folder)
    return "__FMA__" in done.stdout or "__ARM_FEATURE_FMA" in done.stdout


def _results(folder: Path, cases: list[tuple[str, Compute]], builds: list[Build]) -> Results:
    """For each build whether it fuses, and its outputs; the programs compare batches with single samples."""
    source, flags, samples = together(folder, cases, SIZES)
    programs = side_by_side(source, builds, folder, *flags)
    return {
        build: (_fuses(build, folder), numbers(run(program, samples)).tobytes()) for build, program in programs.items()
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _results(tmp_path_factory.mktemp("bits"), KINDS, _builds("-O0", "-O2", "-O3"))


@pytest.fixture(scope="module")
def wide_results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _results(tmp_path_factory.mktemp("wide"), WIDE, _builds("-O3"))


def _is_as_the_others(build: Build, results: Results) -> None:
    skip_unless(build)
    fuses, found = results[build]
    first, (_, expected) = next((other, result) for other, result in results.items() if result[0] == fuses)
    assert found == expected, f"{build} differs from {first}"


@pytest.mark.slow
@pytest.mark.parametrize("build", _builds("-O0", "-O2", "-O3"), ids=str)
def test_the_same_bits(results: Results, build: Build) -> None:
    """Of every batch and every sample alone, in all builds that fuse and in all that do not."""
    _is_as_the_others(build, results)


@pytest.mark.slow
@pytest.mark.parametrize("build", _builds("-O3"), ids=str)
def test_the_same_bits_of_wide_sums(wide_results: Results, build: Build) -> None:
    _is_as_the_others(build, wide_results)


@pytest.mark.slow
def test_what_fuses_differs(results: Results) -> None:
    """Otherwise these inputs could not tell."""
    both = dict(results.values())
    if len(both) < 2:
        pytest.skip("nothing here has a fused multiply-add")
    a, b = (np.frombuffer(both[fuses], np.float32) for fuses in (True, False))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
    assert a.tobytes() != b.tobytes()


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Of every model in float64, by its name."""
    folder, sizes = tmp_path_factory.mktemp("models"), (2, 33)
    source, flags, samples = together(folder, [(name, "float64") for name in MODELS], sizes)
    builds = [Build(compiler, ("-std=c++20", "-O0", *WARNINGS)) for compiler in COMPILERS]
    programs = side_by_side(source, builds, folder, *flags)
    if not programs:
        pytest.skip("there is no compiler here")
    first, *others = (numbers(run(program, samples)) for program in programs.values())
    assert all(other.tobytes() == first.tobytes() for other in others)
    found, start = {}, 0
    for name in MODELS:
        shape = _expected(name).shape
        found[name] = first[start : start + shape[0] * shape[1]].reshape(shape)
        start += found[name].size
    assert start == len(first)
    return found


def _expected(name: str) -> np.ndarray:
    """What the model gives in float64 in PyTorch, rounded."""
    with torch.no_grad():
        result: np.ndarray = (
            model(name).double()(torch.from_numpy(inputs(35, features_of(name))).double()).float().numpy()
        )
    return result


@pytest.mark.quick(4)
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_gives_what_its_model_gives(outputs: dict[str, np.ndarray], name: str) -> None:
    """NaN and infinities as well."""
    expected = _expected(name)
    assert np.isfinite(expected).mean() > 0.5
    np.testing.assert_allclose(outputs[name].astype(np.float64), expected, rtol=1e-6, atol=1e-30)


@pytest.mark.slow
def test_every_layer_compiles_without_a_word(tmp_path: Path) -> None:
    source, flags, samples = together(tmp_path, [(name, "float32") for name in MODELS], (1, 2, 33))
    builds = [
        Build(compiler, (standard, "-O2", *WARNINGS))
        for compiler, standard in zip(COMPILERS, ("-std=c++20", "-std=c++17"), strict=True)
    ]
    found = {
        numbers(run(program, samples)).tobytes() for program in side_by_side(source, builds, tmp_path, *flags).values()
    }
    if not found:
        pytest.skip("there is no compiler here")
    assert len(found) == 1


@pytest.fixture(scope="module")
def in_bounds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], bytes]:
    """A program, its flags and its samples: buffers have as many bytes as they need; ``n = 0`` with null pointers."""
    cases: list[tuple[str, Compute]] = [(name, compute) for name in ("every", "repeats", "wide") for compute in COMPUTE]
    cases += [(name, "float32") for name in ("later", "nalu_stack", "toy", "nalu_one", "clamped")]
    return together(tmp_path_factory.mktemp("bounds"), cases, range(34))


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "more"), [("g++", ()), ("clang++", ("-march=native",))])
def test_no_other_memory_and_nothing_undefined(
    in_bounds: tuple[Path, list[str], bytes], compiler: str, more: tuple[str, ...], tmp_path: Path
) -> None:
    source, flags, samples = in_bounds
    sanitizers = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    build = Build(compiler, ("-std=c++17", "-O0", *sanitizers, *more))
    skip_unless(build)
    run(built(build, source, tmp_path / "program", *flags), samples)


SANITIZED = """
#include "model.hpp"
#include <memory>
int main() {
  const std::unique_ptr<float[]> x(new float[2 * nalu::Model::inputs]()), y(new float[2 * nalu::Model::outputs]);
  nalu::Model::predict(x.get(), y.get(), 3);
}
"""


def test_the_sanitizer_would_see_it(tmp_path: Path) -> None:
    build = Build("g++", ("-std=c++17", "-fsanitize=address"))
    skip_unless(build)
    (tmp_path / "model.hpp").write_bytes(header(MODELS["nac"](), 3))
    (tmp_path / "main.cpp").write_text(SANITIZED, encoding="ascii")
    program = side_by_side(tmp_path / "main.cpp", [build], tmp_path)[build]
    with pytest.raises(AssertionError, match="heap-buffer-overflow"):
        run(program)


REFUSED = {
    "-std=c++14": "this header needs C++17: -std=c++17 or later",
    "-ffast-math": "this header is only right, and fast as well, without -ffast-math and its parts",
    "-ffinite-math-only": "this header is only right, and fast as well, without -ffast-math and its parts",
    "-Ofast": "this header is only right, and fast as well, without -ffast-math and its parts",
}


@pytest.mark.quick(2)
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flag", REFUSED)
def test_what_it_is_not_written_for_is_refused(tmp_path: Path, compiler: str, flag: str) -> None:
    build = Build(compiler, ("-std=c++17", flag, "-fsyntax-only"))
    skip_unless(build)
    (tmp_path / "main.cpp").write_bytes(header(MODELS["nac"](), 3))
    done = compile_(build, ["main.cpp"], tmp_path)
    assert done.returncode != 0
    errors = [line.partition("error: ")[2] for line in done.stderr.splitlines() if "error: " in line]
    assert errors[0].removeprefix("#error ") == f'"{REFUSED[flag]}"'
