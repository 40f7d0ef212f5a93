"""Headers with several inputs and outputs: any types, any number of axes, the same bits in every build."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx

from nalu_export import InputError, UnsupportedLayerError
from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.format import FORMAT, CppDraft, header_of
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.runtimes.cpp import CppSession, find_compiler
from tests.formats.graphs import Drawing
from tests.formats.programs import COMPILERS, WARNINGS, Build, C, built, compile_, needs_compiler, run, skip_unless

Array = NDArray[np.generic]
Tensors = tuple[TensorSpec, ...]
SAMPLES = 37


def _spec(name: str, dtype: str, *shape: int) -> TensorSpec:
    return TensorSpec(name, dtype, ("batch", *shape))


INPUTS = (
    _spec("a", "float32", 2, 3),
    _spec("class", "float32", 2, 3),
    _spec("mask", "bool", 2, 3),
    _spec("count", "int64", 3),
    _spec("NAN", "float32"),
    _spec("few", "int32", 1),
    _spec("wide", "float64", 2),
)
OUTPUTS = (
    _spec("chosen", "float32", 2, 3),
    _spec("sum", "float32"),
    _spec("large", "bool", 2, 3),
    _spec("turned", "float32", 3, 2),
    _spec("again", "float32", 2, 3),
    _spec("a", "float32", 6),
    _spec("constant", "float32", 3),
    _spec("one", "float32"),
    _spec("mask", "bool", 2, 3),
    _spec("count", "int64", 3),
    _spec("scaled", "float32", 2),
    _spec("wide", "float64", 2),
)


def _form(compute: Compute) -> fx.GraphModule:
    d = Drawing(compute)
    a, given = d.x, [d.given(f"given_{number}") for number in range(2, len(INPUTS) + 1)]
    b, mask, count, scale, few, wide = given
    if compute == "float64":
        b, scale = (d("cast", node, d.dtype) for node in (b, scale))
    numbers = d("unsqueeze", d("cast", count, d.dtype), 1)
    chosen = d("where", mask, d("mul", a, b), numbers)
    total = d("mul", d("add", d("sum", chosen, [1, 2], False), scale), scale)
    scaled = d("mul", d("cast", wide, d.dtype), d("cast", few, d.dtype))
    results = [
        *(chosen, total, d("gt", chosen, 1.0), d("transpose", chosen, 1, 2), chosen, d("flatten", a, 1, -1)),
        *(d.random(1, 3), d.constant(torch.tensor(2.5)), mask, count, scaled, wide),
    ]
    if compute == "float64":
        floats = [spec.dtype == "float32" for spec in OUTPUTS]
        results = [d("cast", node, torch.float32) if is_ else node for node, is_ in zip(results, floats, strict=True)]
    return d.giving(*results)


def _text(
    form: fx.GraphModule,
    inputs: Tensors,
    outputs: Tensors,
    *,
    compute: Compute = "float32",
    extern_c: bool = False,
) -> bytes:
    own = CppOptions(extern_c=extern_c)
    return CppDraft(inputs, outputs, header_of(form, own, compute, inputs, outputs)).to_bytes({})


def _drawn() -> list[Array]:
    rng = np.random.default_rng(0)
    made: dict[str, Array] = {}
    for spec in INPUTS:
        shape = (SAMPLES, *map(int, spec.shape[1:]))
        if spec.dtype == "bool":
            made[spec.name] = rng.random(shape) > 0.5
        elif spec.dtype.startswith("int"):
            info = np.iinfo(spec.dtype)
            made[spec.name] = rng.integers(info.min, info.max, shape, dtype=spec.dtype)
        else:
            made[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
    made["a"].flat[::7] = np.nan
    return list(made.values())


def _expected(compute: Compute) -> list[Array]:
    """What torch gives; constants for every sample."""
    with torch.no_grad():
        given = _form(compute)(*map(torch.from_numpy, _drawn()))
    return [
        np.broadcast_to(value.numpy(), (SAMPLES, *map(int, spec.shape[1:]))).astype(spec.dtype)
        for value, spec in zip(given, OUTPUTS, strict=True)
    ]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("compute", COMPUTE)
def test_everything_gives_what_torch_gives(compute: Compute) -> None:
    """Both levels and every sample alone give the same bits, which the session checks; so do exact outputs."""
    data = _text(_form(compute), INPUTS, OUTPUTS, compute=compute)
    assert FORMAT.signature(data) == (INPUTS, OUTPUTS)
    session = CppSession(data, find_compiler())
    try:
        found = session.run(_drawn())
        empty = session.run([given[:0] for given in _drawn()])
    finally:
        session.close()
    for spec, got, want, none in zip(OUTPUTS, found, _expected(compute), empty, strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape), spec
        assert none.shape == (0, *want.shape[1:]), spec
        if spec.name in ("sum", "scaled"):
            np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=1e-5, err_msg=spec.name)
        else:
            np.testing.assert_array_equal(got, want, err_msg=spec.name)


def _two() -> tuple[fx.GraphModule, Tensors, Tensors]:
    """What tells its pointers apart: (a − 2b, a) of vectors of two."""
    d = Drawing()
    b = d.given("b")
    form = d.giving(d("sub", d.x, d("mul", b, 2.0)), d.x)
    inputs = (_spec("a", "float32", 2), _spec("b", "float32", 2))
    return form, inputs, (_spec("p", "float32", 2), _spec("q", "float32", 2))


def test_what_it_says_of_itself() -> None:
    text = _text(*_two(), extern_c=True).decode("ascii")
    assert text.startswith(
        """// nalu_export header 1
// nalu::Model: 2 inputs -> 2 outputs, computed in float32.
//
//   nalu::Model::predict(a, b, p, q);     one sample
//   nalu::Model::predict(a, b, p, q, n);  n samples, one after the other; the same results as one by one
//
//   a: const float*, of a sample (2)
//   b: const float*, of a sample (2)
//   p: float*, of a sample (2)
//   q: float*, of a sample (2)
//
"""
    )
    assert "\n//   p = a - b * 2\n//   q = a\n" in text
    assert "\nvoid nalu_model_predict(const float* a, const float* b, float* p, float* q);\n" in text
    assert max(map(len, text.partition("// Metadata:")[0].splitlines())) <= 120


def test_one_sample_of_other_axes_or_types_is_listed() -> None:
    d = Drawing()
    text = _text(d.giving(d("sum", d.x, [1], False)), (_spec("image", "float32", 2, 3),), (_spec("y", "float32", 3),))
    assert FORMAT.signature(text) == ((_spec("image", "float32", 2, 3),), (_spec("y", "float32", 3),))
    assert b'\n//   x: const float*, of a sample (2, 3), "image"\n//   y: float*, of a sample (3)\n' in text
    assert b"static constexpr std::size_t inputs = 6;" in text
    # What was never more than one vector of floats says nothing new.
    d = Drawing()
    plain = _text(d.giving(d("abs", d.x)), (_spec("input", "float32", 2),), (_spec("output", "float32", 2),))
    assert FORMAT.signature(plain) is None
    assert b"of a sample" not in plain


def test_a_list_that_is_damaged() -> None:
    data = _text(*_two()).replace(b"a: const float*", b"a: const half*")
    with pytest.raises(InputError, match=r"^its list of inputs and outputs is damaged; export it again$"):
        FORMAT.signature(data)


def test_digits_that_it_does_not_have() -> None:
    form, inputs, (p, q) = _two()
    text = (
        "output p is float64, but a C++ header that computes in float32 does not have all digits of it; export it with "
    )
    with pytest.raises(UnsupportedLayerError, match=f"^{re.escape(text)}compute='float64'$"):
        _text(form, inputs, (TensorSpec("p", "float64", p.shape), q))


MAIN = """
#include "model.hpp"
#include <cstdio>
using Model = nalu::Model;
static_assert(Model::input_count == 7 && Model::output_count == 12, "");
static_assert(sizeof(Model::input_sizes) / sizeof(std::size_t) == 7, "");
static_assert(Model::input_sizes[0] == 6 && Model::input_sizes[4] == 1 && Model::output_sizes[5] == 6, "");
static_assert(Model::a_size == 6 && Model::x_class_size == 6 && Model::x_NAN_size == 1 && Model::y_mask_size == 6, "");
int main() { std::puts("here"); }
"""
MAIN_C = """
#include "model.hpp"
#include <stdio.h>
int main(void) {
  float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8}, p[4], q[4];
  if (nalu_model_input_count != 2 || nalu_model_output_count != 2 || nalu_model_q_size != 2) return 1;
  nalu_model_predict(a, b, p, q);
  nalu_model_predict_batch(a, b, p, q, 2);
  printf("%g %g %g %g\\n", p[0], p[3], q[0], q[3]);
  return 0;
}
"""


@pytest.mark.quick(1)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_it_compiles_without_a_word(tmp_path: Path, compiler: str) -> None:
    """Names and types as C++ and as C see them."""
    build = Build(compiler, ("-std=c++17", "-O0", *WARNINGS))
    skip_unless(build)
    (tmp_path / "model.hpp").write_bytes(_text(_form("float32"), INPUTS, OUTPUTS, extern_c=True))
    (tmp_path / "main.cpp").write_text(MAIN, encoding="ascii")
    program = built(build, tmp_path / "main.cpp", tmp_path / "main", "-DNALU_MODEL_IMPLEMENTATION")
    assert run(program) == b"here\n"
    c = Build(C[compiler], ("-std=c99", *WARNINGS, "-fsyntax-only"))
    skip_unless(c)
    (tmp_path / "main.c").write_text('#include "model.hpp"\nint main(void) { return 0; }\n', encoding="ascii")
    done = compile_(c, ["main.c"], tmp_path)
    assert (done.returncode, done.stderr[:2000]) == (0, "")


def test_from_c(tmp_path: Path) -> None:
    cpp, c = Build("g++", ("-std=c++17", "-fno-exceptions")), Build("gcc", ("-std=c99", *WARNINGS))
    skip_unless(cpp)
    skip_unless(c)
    (tmp_path / "model.hpp").write_bytes(_text(*_two(), extern_c=True))
    (tmp_path / "model.cpp").write_text('#define NALU_MODEL_IMPLEMENTATION\n#include "model.hpp"\n', encoding="ascii")
    (tmp_path / "main.c").write_text(MAIN_C, encoding="ascii")
    made = built(cpp, tmp_path / "model.cpp", tmp_path / "model.o", "-c")
    assert run(built(c, tmp_path / "main.c", tmp_path / "main", made, "-lm")) == b"-9 -12 1 4\n"


X = [np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([[5.0, 6.0], [7.0, 8.0]], np.float32)]
ONE = "arithmetic::run<1>(a, b, 1, p, q);"
MANY = "arithmetic::run_all(a, b, n, p, q);"


def _ran(*edits: tuple[str, str]) -> list[list[float]]:
    text = _text(*_two()).decode("ascii")
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    session = CppSession(text.encode("ascii"), find_compiler())
    try:
        return [found.ravel().tolist() for found in session.run(X)]
    finally:
        session.close()


@pytest.mark.quick(1)
@needs_compiler
@pytest.mark.parametrize(
    ("edits", "text"),
    [
        # Pointers that are swapped in one of the two functions, on either side.
        ([(ONE, ONE.replace("a, b", "b, a"))], "2 of 2 samples give something else alone than in their batch"),
        ([(MANY, MANY.replace("p, q", "q, p"))], "2 of 2 samples give something else alone than in their batch"),
        # The last output alone, in one sample.
        ([(MANY, f"{MANY} q[2 * n - 1] += 1.0f;")], "1 of 2 samples give something else alone than in their batch"),
        # The last output alone, at one level.
        (
            [
                (ONE, f"{ONE}\n#ifdef __OPTIMIZE__\n q[0] += 1.0f;\n#endif\n"),
                (MANY, f"{MANY}\n#ifdef __OPTIMIZE__\n q[0] += 1.0f; q[2] += 1.0f;\n#endif\n"),
            ],
            "-O3 and -O0 differ in 2 of 2 samples",
        ),
        # A comment that says something else than what is given.
        (
            [("q: float*, of a sample (2)", "q: float*, of a sample (1)")],
            "the number, types or sizes of its outputs are not those in its comment; export it again",
        ),
        # A header that takes what it is not given.
        ([("input_sizes[] = {2, 2}", "input_sizes[] = {2, 3}")], "model-O3 ended with exit code 1: "),
    ],
)
def test_faults_are_found(edits: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(InputError, match=f"^cpp: {re.escape(text)}"):
        _ran(*edits)


@pytest.mark.slow
@needs_compiler
def test_swapped_everywhere_is_another_result() -> None:
    """What both functions do wrong alike is seen in the numbers."""
    right = [[-9.0, -10.0, -11.0, -12.0], [1.0, 2.0, 3.0, 4.0]]
    assert _ran() == right
    assert _ran((ONE, ONE.replace("a, b", "b, a")), (MANY, MANY.replace("a, b", "b, a"))) != right
