"""Headers in programs: several in one, one compiled in two ways, from C, and what they need of a library."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export.formats.base import EmitOptions
from nalu_export.formats.cpp.format import FORMAT
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.nn import NACCell, NALUCell
from tests.captured import graph_of
from tests.formats.families import FEATURES, MODELS, features_of
from tests.formats.programs import (
    COMPILERS,
    Array,
    Build,
    C,
    built,
    compile_,
    header,
    inputs,
    numbers,
    run,
    skip_unless,
)

SAMPLES = 33
STANDARD = "-std=c++17"
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic")

UNIT = """
#include HEADER
void PREDICT(const float* x, float* y, std::size_t n) {{ nalu::Model::predict(x, y, n); }}
"""
MAIN = """
#include <cstddef>
#include <cstdio>
void first(const float* x, float* y, std::size_t n);
void second(const float* x, float* y, std::size_t n);
int main() {
  float x[SAMPLES * INPUTS], y[SAMPLES * OUTPUTS];
  if (std::fread(x, sizeof x, 1, stdin) != 1) return 2;
  first(x, y, SAMPLES);
  std::fwrite(y, sizeof y, 1, stdout);
  second(x, y, SAMPLES);
  std::fwrite(y, sizeof y, 1, stdout);
}
"""


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    skip_unless(Build(name))
    return name


def _object(build: Build, folder: Path, name: str, header_name: str) -> Path:
    """An object file with a function of that name; without optimisation, so that nothing is inlined into it."""
    (folder / f"{name}.cpp").write_text(UNIT.format(), encoding="ascii")
    defines = (f'-DHEADER="{header_name}"', f"-DPREDICT={name}", "-c")
    return built(build, folder / f"{name}.cpp", folder / f"{name}.o", *defines)


def _both(compiler: str, folder: Path, objects: list[Path], shape: tuple[int, int]) -> tuple[bytes, bytes]:
    """What both functions give."""
    (folder / "main.cpp").write_text(MAIN, encoding="ascii")
    sizes = (f"-DSAMPLES={SAMPLES}", f"-DINPUTS={shape[0]}", f"-DOUTPUTS={shape[1]}")
    program = built(Build(compiler, (STANDARD,)), folder / "main.cpp", folder / "main", *sizes, *objects)
    found = numbers(run(program, inputs(SAMPLES, shape[0]).tobytes())).tobytes()
    return found[: len(found) // 2], found[len(found) // 2 :]


@pytest.mark.quick(1)
def test_two_models_of_one_name_in_two_units(tmp_path: Path, compiler: str) -> None:
    build = Build(compiler, (STANDARD, "-O0"))
    objects = []
    for seed, name in enumerate(("first", "second")):
        torch.manual_seed(seed)
        (tmp_path / f"{name}.hpp").write_bytes(header(NALUCell(9, 4), 9))
        objects.append(_object(build, tmp_path, name, f"{name}.hpp"))
    first, second = _both(compiler, tmp_path, objects, (9, 4))
    assert first != second
    # The linker takes what it finds first; neither of the two may be served with the other's.
    assert _both(compiler, tmp_path, objects[::-1], (9, 4)) == (first, second)


PAIRS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fused": ((), ("-march=native",)),
    "arrays": ((), ("-DNALU_EXPORT_NO_SIMD",)),
    "avx": ((), ("-mavx",)),
    "avx2": (("-mavx",), ("-mavx2",)),
    "sse4": ((), ("-msse4.1",)),
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("pair", PAIRS)
def test_one_header_compiled_in_two_ways(tmp_path: Path, compiler: str, pair: str) -> None:
    """What each object file has to offer to the other one has a name of its own."""
    builds = [Build(compiler, (STANDARD, "-O0", *flags)) for flags in PAIRS[pair]]
    for build in builds:
        skip_unless(build)
    (tmp_path / "model.hpp").write_bytes(header(NALUCell(9, 4), 9))
    names = zip(builds, ("first", "second"), strict=True)
    objects = [_object(build, tmp_path, name, "model.hpp") for build, name in names]
    offered = [{line.split()[-1] for line in _symbols(path) if line.split()[-2] in ("W", "V", "u")} for path in objects]
    assert offered[0]
    assert not {name for name in offered[0] & offered[1] if "nalu" in name}
    found = _both(compiler, tmp_path, objects, (9, 4))
    assert _both(compiler, tmp_path, objects[::-1], (9, 4)) == found
    if pair == "fused":
        assert found[0] != found[1]
    else:
        assert found[0] == found[1]


def _symbols(path: Path, *flags: str) -> list[str]:
    done = compile_(Build("nm", flags), [path], path.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# All that a header may need: of C's library alone, and none of it allocates. The last is what position-independent code
# asks for.
NEEDED = {
    *("cos", "sin", "tanh", "sinh", "asinh", "erf", "exp", "log", "log1p", "expm1", "pow", "sqrt", "sqrtf"),
    *("fma", "fmaf", "memcpy", "memset"),
    *("__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"),
}
# And where exceptions are not switched off: how a program ends that throws where nothing may.
OF_CPP = {"__gxx_personality_v0", "__cxa_begin_catch", "_ZSt9terminatev"}
PLAIN = "-fno-exceptions"


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "flags",
    [("-O0",), ("-O2",), ("-O0", PLAIN), ("-O2", PLAIN), ("-O0", PLAIN, "-DNALU_EXPORT_NO_SIMD", "-march=native")],
    ids=" ".join,
)
def test_no_allocation_no_exception_no_library_of_cpp(tmp_path: Path, compiler: str, flags: tuple[str, ...]) -> None:
    (tmp_path / "model.hpp").write_bytes(header(MODELS["every"](), FEATURES))
    path = _object(Build(compiler, (STANDARD, *flags)), tmp_path, "first", "model.hpp")
    wanted = {line.split()[-1].partition("@")[0] for line in _symbols(path, "-u")}
    assert wanted <= NEEDED | (set() if PLAIN in flags else OF_CPP)
    assert {"cos", "tanh"} <= wanted


CONSTANTS = """
#include "model.hpp"
using heads::deep::Adder;
constexpr bool same(const char* a, const char* b) { return *a == *b && (*a == 0 || same(a + 1, b + 1)); }
static_assert(Adder::inputs == 3 && Adder::outputs == 5, "sizes");
static_assert(same(Adder::tool, "a \\"quoted\\" \\\\ tool\\n\\303\\244"), "tool");
static_assert(same(Adder::source_sha256, "0123abc") && same(Adder::compute, "float64"), "of the file");
static_assert(Adder::stack_bytes > 0 && Adder::stack_bytes < 100000, "stack");
static_assert(sizeof(float[Adder::inputs]) == 12, "a bound of an array");
int main() {
  const std::size_t& inputs = Adder::inputs;  // one definition in the program
  return inputs == 3 ? 0 : 1;
}
"""


def test_what_a_program_can_ask_while_it_is_compiled(tmp_path: Path, compiler: str) -> None:
    own = CppOptions(namespace="heads::deep", struct="Adder")
    data = FORMAT.emit(graph_of(NACCell(3, 5)), EmitOptions(compute="float64"), own).to_bytes(
        {
            "nalu_export.tool": 'a "quoted" \\ tool\nä',
            "nalu_export.source_sha256": "0123abc",
            "nalu_export.compute": "float64",
        }
    )
    (tmp_path / "model.hpp").write_bytes(data)
    (tmp_path / "main.cpp").write_text(CONSTANTS, encoding="ascii")
    run(built(Build(compiler, (STANDARD, *STRICT)), tmp_path / "main.cpp", tmp_path / "main"))


C_MAIN = """
#include <stdio.h>
#include "model.hpp"

static float x[33 * my_heads_adder_inputs], y[33 * my_heads_adder_outputs];

int main(void) {
  size_t i;
  if (fread(x, sizeof x, 1, stdin) != 1) return 2;
  my_heads_adder_predict_batch(x, y, 33);
  fwrite(y, sizeof y, 1, stdout);
  for (i = 0; i < 33; ++i) my_heads_adder_predict(x + i * my_heads_adder_inputs, y + i * my_heads_adder_outputs);
  fwrite(y, sizeof y, 1, stdout);
  return 0;
}
"""
IMPLEMENTATION = """
#define MY_HEADS_ADDER_IMPLEMENTATION
#include "model.hpp"
"""


def from_c(folder: Path, compiler: str, name: str, level: str) -> Array:
    """What a C program gives, which is linked by a C compiler, as the header says."""
    c = C[compiler]
    skip_unless(Build(c))
    features = features_of(name)
    data = header(MODELS[name](), features, "my::heads", struct="Adder", extern_c=True)
    (folder / "model.hpp").write_bytes(data)
    (folder / "main.c").write_text(C_MAIN, encoding="ascii")
    (folder / "implementation.cpp").write_text(IMPLEMENTATION, encoding="ascii")
    main = built(Build(c, ("-std=c99", *STRICT, "-c")), folder / "main.c", folder / "main.o")
    code = Build(compiler, (STANDARD, level, *STRICT, PLAIN, "-c"))
    implementation = built(code, folder / "implementation.cpp", folder / "implementation.o")
    program = built(Build(c), main, folder / "main", implementation, "-lm")
    return numbers(run(program, inputs(SAMPLES, features).tobytes()))


CPP_MAIN = """
#include "model.hpp"
#include <cstdio>
int main() {
  float x[33 * my::heads::Adder::inputs], y[33 * my::heads::Adder::outputs];
  if (std::fread(x, sizeof x, 1, stdin) != 1) return 2;
  my::heads::Adder::predict(x, y, 33);
  std::fwrite(y, sizeof y, 1, stdout);
}
"""


@pytest.mark.quick(1)
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_from_c(tmp_path: Path, compiler: str, level: str) -> None:
    found = from_c(tmp_path, compiler, "every", level)
    (tmp_path / "main.cpp").write_text(CPP_MAIN, encoding="ascii")
    program = built(Build(compiler, (STANDARD, *STRICT)), tmp_path / "main.cpp", tmp_path / "from_cpp")
    expected = numbers(run(program, inputs(SAMPLES, FEATURES).tobytes()))
    assert np.concatenate([expected, expected]).tobytes() == found.tobytes()
    assert np.isfinite(expected).any()


def test_without_the_option_there_is_nothing_for_c(tmp_path: Path) -> None:
    assert b'extern "C"' not in header(MODELS["nac"](), FEATURES)
    assert b'extern "C"' in header(MODELS["nac"](), FEATURES, extern_c=True)
