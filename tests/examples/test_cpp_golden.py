"""examples/cpp/verify.hpp: exactly what a golden file accepts passes, and every wrong output is found and named."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.api.golden import read_golden
from nalu_export.api.golden_files import Golden, GoldenOutput, to_bin
from tests.examples.programs import CPP, Done, Programs, run
from tests.goldens import FIELDS, changed, single, version_1

ON_HEAD = {
    "onnxruntime_infer": ["head.onnx"],
    "libtorch_infer": ["head.torchscript.pt"],
    "header_infer_head": [],
}


@pytest.fixture(scope="module")
def golden(programs: Programs) -> Golden:
    return read_golden(programs.file("head.bin"))


@pytest.fixture(scope="module")
def output(golden: Golden) -> GoldenOutput:
    return golden.outputs[0]


def infer(programs: Programs, name: str, path: Path) -> Done:
    return programs.run(name, *(programs.file(model) for model in ON_HEAD[name]), path)


@pytest.mark.parametrize("name", ON_HEAD)
def test_a_file_of_another_model_or_arithmetic_is_refused(
    name: str, golden: Golden, programs: Programs, tmp_path: Path
) -> None:
    path = tmp_path / "g.bin"
    program = "header_infer" if name == "header_infer_head" else name
    model = str(programs.file(ON_HEAD[name][0])) if ON_HEAD[name] else "the header"
    path.write_bytes(to_bin(replace(golden, source_sha256="0" * 64)))
    done = infer(programs, name, path)
    said = f"{program}: {path} is of the model with sha256 {'0' * 64}, {model} of {golden.source_sha256}\n"
    assert (done.code, done.err) == (2, said)
    assert "samples" not in done.out
    path.write_bytes(to_bin(replace(golden, compute="float64")))
    done = infer(programs, name, path)
    said = f"{program}: {path} is for --compute float64, {model} computes in float32\n"
    assert (done.code, done.err) == (2, said)


@pytest.mark.parametrize("name", ON_HEAD)
@pytest.mark.parametrize("version", [1, 2])
def test_one_wrong_reference_is_found_and_named(
    version: int, name: str, golden: Golden, output: GoldenOutput, programs: Programs, tmp_path: Path
) -> None:
    reference = output.reference.copy()
    reference[5, 0] += 3 * output.bound[5, 0]
    done = mismatch(
        changed(golden, reference=reference), name, programs, tmp_path, version_1 if version == 1 else to_bin
    )
    verdict, worst = done.out.splitlines()[-2:]
    figures = r": 384 samples, 384 outputs, max ULP \d+, max E \S+, worst [23]\S* of its bound: failed"
    assert re.search(figures + "$", verdict)
    expected = f"{reference[5, 0]:.9g} ± {output.bound[5, 0]:.3g}"
    start = r"3 of 1152 outputs are wrong; worst: batches of \d+, sample 5, output 0 is (\S+), expected "
    found = re.fullmatch(start + re.escape(expected), worst)
    assert found, worst
    assert float(found[1]) == pytest.approx(output.torch[5, 0], rel=1e-3)


@pytest.mark.parametrize("name", ON_HEAD)
def test_a_file_of_version_1_passes(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "g.bin").write_bytes(version_1(golden))
    done = infer(programs, name, tmp_path / "g.bin")
    assert (done.code, done.err) == (0, "")
    assert re.search(r": 384 samples, 384 outputs, .*: passed$", done.out.splitlines()[-1])


def mismatch(
    golden: Golden, name: str, programs: Programs, folder: Path, write: Callable[[Golden], bytes] = to_bin
) -> Done:
    path = folder / "g.bin"
    path.write_bytes(write(golden))
    done = infer(programs, name, path)
    assert (done.code, done.err) == (1, "")
    return done


@pytest.mark.parametrize("name", ON_HEAD)
def test_nan_where_a_number_is_due_and_the_other_way_round(
    name: str, golden: Golden, output: GoldenOutput, programs: Programs, tmp_path: Path
) -> None:
    x, accept, reference = golden.inputs[0].values.copy(), output.accept.copy(), output.reference.copy()
    x[7] = np.nan
    done = mismatch(changed(golden, x=x), name, programs, tmp_path)
    number = f"{reference[7, 0]:.9g} ± {output.bound[7, 0]:.3g}"
    assert re.search(rf"^3 of 1152 .* sample 7, output 0 is -?nan, expected {re.escape(number)}$", done.out, re.M)
    for kind, value, text in ((1, np.nan, "NaN"), (2, np.inf, "inf"), (3, -np.inf, "-inf")):
        accept[9], reference[9] = kind, value
        done = mismatch(changed(golden, accept=accept, reference=reference), name, programs, tmp_path)
        assert re.search(rf"^3 of 1152 .* sample 9, output 0 is [-\d.e]+, expected {text}$", done.out, re.M)


def with_arrays(golden: Golden, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Golden:
    """The same with every array changed."""
    arrays: dict[str, Any] = {name: change(getattr(golden.outputs[0], name)) for name in FIELDS}
    return changed(golden, x=change(golden.inputs[0].values), **arrays)


@pytest.mark.parametrize("name", ON_HEAD)
def test_nothing_compared_is_no_pass(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    program = "header_infer" if name == "header_infer_head" else name
    empty = with_arrays(golden, lambda array: array[:0])
    undetermined = changed(golden, bound=np.full_like(golden.outputs[0].bound, np.inf))
    for nothing, count in ((empty, 0), (undetermined, 384)):
        path.write_bytes(to_bin(nothing))
        done = infer(programs, name, path)
        said = f"{path} determines none of its {count} outputs; nothing was compared"
        assert (done.code, done.err) == (1, f"{program}: {said}\n")


def test_outputs_that_are_not_determined_are_counted(
    golden: Golden, output: GoldenOutput, programs: Programs, tmp_path: Path
) -> None:
    bound, reference = output.bound.copy(), output.reference.copy()
    bound[3:5], reference[3:5] = np.inf, np.nan
    (tmp_path / "g.bin").write_bytes(to_bin(changed(golden, bound=bound, reference=reference)))
    done = infer(programs, "header_infer_head", tmp_path / "g.bin")
    assert (done.code, done.err) == (0, "")
    assert ": 384 samples, 384 outputs (2 undetermined), max ULP " in done.out


@pytest.mark.parametrize("name", ON_HEAD)
def test_outputs_of_another_shape_are_no_pass(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    path.write_bytes(
        to_bin(changed(with_arrays(golden, lambda array: np.repeat(array, 2, axis=1)), x=golden.inputs[0].values))
    )
    done = infer(programs, name, path)
    if name == "header_infer_head":
        said = f"header_infer: {path} is for 384 x 16 to 384 x 2, the header for 384 x 16 to 384 x 1\n"
        assert (done.code, done.err) == (2, said)
    else:
        assert (done.code, done.err) == (1, f"{name}: a batch of 1 x 16 gives 1 x 1, expected 1 x 2\n")


IDENTITY = """#pragma once
#include <cstddef>
namespace nalu {
struct Model {
    static constexpr std::size_t inputs = 1, outputs = 1;
    static constexpr const char *source_sha256 = "SHA", *compute = "float32", *tool = "none";
    static void predict(const float* x, float* y) noexcept { *y = *x; }
    static void predict(const float* x, float* y, std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) y[i] = x[i];
        if (SPOILED && n > 11) y[11] += 1;
    }
};
}  // namespace nalu
"""


def compiled(folder: Path, *, spoiled: bool) -> Path:
    """header_infer with a header whose outputs are its inputs, so that a golden file chooses them."""
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    header, program = folder / "identity.hpp", folder / "header_infer"
    header.write_text(IDENTITY.replace("SHA", "0" * 64).replace("SPOILED", str(spoiled).lower()))
    flags = ["-std=c++17", "-O0", f'-DNALU_HEADER="{header}"']
    done = run(compiler, *flags, CPP / "header_infer.cpp", "-o", program)
    assert (done.code, done.err) == (0, "")
    return program


def any_golden(rng: np.random.Generator, samples: int) -> Golden:
    """Outputs, references, bounds and kinds in every combination, near enough to each other to matter."""
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4028234e38, -1e-45], np.float32)
    x: NDArray[np.float32] = rng.normal(size=(samples, 1)).astype(np.float32)
    some = rng.random((samples, 1)) < 0.4
    x[some] = rng.choice(special, int(some.sum()))
    reference = np.where(rng.random(x.shape) < 0.3, rng.choice(special, x.shape), x + 0.1 * rng.normal(size=x.shape))
    bound = rng.choice(np.array([0.0, 0.05, 0.2, np.inf]), x.shape)
    with np.errstate(invalid="ignore"):
        error = np.abs(x - reference)
    bound = np.where(np.isfinite(error) & (rng.random(x.shape) < 0.2), error, bound)  # exactly on it is within it
    accept = rng.integers(0, 5, x.shape).astype(np.uint8)
    return changed(single(x, x), reference=reference.astype(np.float64), bound=bound, unit=bound / 3, accept=accept)


def accepted(out: NDArray[np.float32], golden: GoldenOutput) -> NDArray[np.bool_]:
    """The rule as the documentation of :class:`GoldenOutput` has it."""
    kind = np.select([np.isnan(out), np.isposinf(out), np.isneginf(out)], [1, 2, 3])
    with np.errstate(invalid="ignore", over="ignore"):
        near = (np.abs(out - golden.reference) <= golden.bound) | np.isinf(golden.bound)
    return np.where(np.isfinite(out), near, (golden.accept == kind) | (golden.accept == 4))


def test_exactly_what_a_golden_file_accepts_passes(programs: Programs, tmp_path: Path) -> None:
    program, path = compiled(tmp_path, spoiled=False), tmp_path / "g.bin"
    golden = any_golden(np.random.default_rng(0), 4000)
    path.write_bytes(to_bin(golden))
    done = run(program, path)
    wrong = ~accepted(golden.inputs[0].values, golden.outputs[0])
    assert 800 < wrong.sum() < 3200
    assert (done.code, done.err) == (1, "")
    assert f"\n{3 * wrong.sum()} of 12000 outputs are wrong; worst: " in done.out
    path.write_bytes(to_bin(with_arrays(golden, lambda array: array[~wrong[:, 0]])))
    done = run(program, path)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("of its bound: passed\n")


def test_a_header_whose_batches_differ_from_its_singles_is_found(programs: Programs, tmp_path: Path) -> None:
    x = np.ones((20, 1), np.float32)
    golden = changed(single(x, x), bound=np.full((20, 1), np.inf), accept=np.full((20, 1), 4, np.uint8))
    (tmp_path / "g.bin").write_bytes(to_bin(golden))
    done = run(compiled(tmp_path, spoiled=True), tmp_path / "g.bin")
    said = "header_infer: sample 11: predict(x, y) and predict(x, y, n) give other bits\n"
    assert (done.code, done.err) == (1, said)
