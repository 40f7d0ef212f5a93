"""examples/cpp/golden.hpp: every damaged golden file is refused in one line, and every wrong output is found."""

import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export._golden_codec import Golden, to_bin
from nalu_export.golden import read_golden
from tests.examples.programs import CPP, Done, Programs, run

ON_HEAD = {
    "onnxruntime_infer": ["head.onnx"],
    "libtorch_infer": ["head.torchscript.pt"],
    "header_infer_head": [],
}
# head.bin: magic, version, compute, SHA-256, (rank, sizes) of x and of y, then numbers.
VERSION, COMPUTE, SHA, X_RANK, X_SHAPE, Y_RANK, Y_SHAPE, NUMBERS = 8, 12, 16, 80, 84, 100, 104, 120


def put(offset: int, pattern: str, *values: object) -> Callable[[bytes], bytes]:
    """Overwrites a field."""

    def mutate(data: bytes) -> bytes:
        field = struct.pack(f"<{pattern}", *values)
        return data[:offset] + field + data[offset + len(field) :]

    return mutate


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:size]


SIZE = NUMBERS + 384 * (16 * 4 + 29)
MUTATIONS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (cut(0), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "magic cut": (cut(7), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "magic": (put(0, "8s", b"NALUGOLF"), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "version cut": (cut(10), "is cut off after 10 bytes"),
    "version": (put(VERSION, "I", 2), "is a golden file of version 2; this program reads version 1"),
    "compute cut": (cut(14), "is cut off after 14 bytes"),
    "compute": (put(COMPUTE, "I", 16), "says compute 16; 32 or 64 is expected"),
    "sha cut": (cut(50), "is cut off after 50 bytes"),
    "sha not hex": (put(SHA, "s", b"\x1b"), "holds no SHA-256 of its model"),
    "rank cut": (cut(82), "is cut off after 82 bytes"),
    "rank 0": (put(X_RANK, "I", 0), "says that x has rank 0; 1 to 16 is expected"),
    "rank 17": (put(X_RANK, "I", 17), "says that x has rank 17; 1 to 16 is expected"),
    "rank huge": (put(Y_RANK, "I", 2**32 - 1), "says that y has rank 4294967295; 1 to 16 is expected"),
    "shape cut": (cut(90), "is cut off after 90 bytes"),
    "y rank cut": (cut(102), "is cut off after 102 bytes"),
    "y shape cut": (cut(119), "is cut off after 119 bytes"),
    "samples differ": (put(Y_SHAPE, "Q", 383), "holds 384 inputs and 383 outputs"),
    "huge": (put(X_SHAPE + 8, "Q", 2**63), "has more numbers than fit into memory"),
    "overflow": (put(Y_SHAPE + 8, "Q", 2**58), "has more numbers than fit into memory"),
    "larger": (
        put(X_SHAPE + 8, "Q", 17),
        f"is damaged: {SIZE - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS + 384 * 4}",
    ),
    "cut": (cut(SIZE - 1), f"is damaged: {SIZE - 1 - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS}"),
    "trailing": (
        lambda data: data + b"\0",
        f"is damaged: {SIZE + 1 - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS}",
    ),
    "accept": (put(SIZE - 1, "B", 5), "says accept 5; 0 to 4 is expected"),
}


@pytest.fixture(scope="module")
def golden(programs: Programs) -> Golden:
    return read_golden(programs.file("head.bin"))


def infer(programs: Programs, name: str, path: Path) -> Done:
    return programs.run(name, *(programs.file(model) for model in ON_HEAD[name]), path)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_file_is_one_line(name: str, programs: Programs, tmp_path: Path) -> None:
    data = programs.file("head.bin").read_bytes()
    assert len(data) == SIZE
    mutate, text = MUTATIONS[name]
    (tmp_path / "g.bin").write_bytes(mutate(data))
    done = infer(programs, "header_infer_head", tmp_path / "g.bin")
    assert (done.code, done.out, done.err) == (2, "", f"header_infer: {tmp_path / 'g.bin'} {text}\n")


def test_what_is_no_file_is_not_waited_for(programs: Programs, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        done = infer(programs, "header_infer_head", path)
        assert (done.code, done.out, done.err) == (2, "", f"header_infer: {path} is not a file\n")


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
def test_one_wrong_reference_is_found_and_named(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    reference = golden.reference.copy()
    reference[5, 0] += 3 * golden.bound[5, 0]
    done = mismatch(replace(golden, reference=reference), name, programs, tmp_path)
    verdict, worst = done.out.splitlines()[-2:]
    figures = r": 384 samples, 384 outputs, max ULP \d+, max E \S+, worst [23]\S* of its bound: failed"
    assert re.search(figures + "$", verdict)
    expected = f"{reference[5, 0]:.9g} ± {golden.bound[5, 0]:.3g}"
    start = r"3 of 1152 outputs are wrong; worst: batches of \d+, sample 5, output 0 is (\S+), expected "
    found = re.fullmatch(start + re.escape(expected), worst)
    assert found, worst
    assert float(found[1]) == pytest.approx(golden.torch[5, 0], rel=1e-3)


def mismatch(golden: Golden, name: str, programs: Programs, folder: Path) -> Done:
    path = folder / "g.bin"
    path.write_bytes(to_bin(golden))
    done = infer(programs, name, path)
    assert (done.code, done.err) == (1, "")
    return done


@pytest.mark.parametrize("name", ON_HEAD)
def test_nan_where_a_number_is_due_and_the_other_way_round(
    name: str, golden: Golden, programs: Programs, tmp_path: Path
) -> None:
    x, accept, reference = golden.x.copy(), golden.accept.copy(), golden.reference.copy()
    x[7] = np.nan
    done = mismatch(replace(golden, x=x), name, programs, tmp_path)
    number = f"{reference[7, 0]:.9g} ± {golden.bound[7, 0]:.3g}"
    assert re.search(rf"^3 of 1152 .* sample 7, output 0 is -?nan, expected {re.escape(number)}$", done.out, re.M)
    for kind, value, text in ((1, np.nan, "NaN"), (2, np.inf, "inf"), (3, -np.inf, "-inf")):
        accept[9], reference[9] = kind, value
        done = mismatch(replace(golden, accept=accept, reference=reference), name, programs, tmp_path)
        assert re.search(rf"^3 of 1152 .* sample 9, output 0 is [-\d.e]+, expected {text}$", done.out, re.M)


def with_arrays(golden: Golden, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Golden:
    """The same with every array changed."""
    names = ("x", "reference", "bound", "unit", "torch", "accept")
    changed: dict[str, Any] = {name: change(getattr(golden, name)) for name in names}
    return replace(golden, **changed)


@pytest.mark.parametrize("name", ON_HEAD)
def test_nothing_compared_is_no_pass(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    program = "header_infer" if name == "header_infer_head" else name
    empty = with_arrays(golden, lambda array: array[:0])
    undetermined = replace(golden, bound=np.full_like(golden.bound, np.inf))
    for nothing, count in ((empty, 0), (undetermined, 384)):
        path.write_bytes(to_bin(nothing))
        done = infer(programs, name, path)
        said = f"{path} determines none of its {count} outputs; nothing was compared"
        assert (done.code, done.err) == (1, f"{program}: {said}\n")


def test_outputs_that_are_not_determined_are_counted(golden: Golden, programs: Programs, tmp_path: Path) -> None:
    bound, reference = golden.bound.copy(), golden.reference.copy()
    bound[3:5], reference[3:5] = np.inf, np.nan
    (tmp_path / "g.bin").write_bytes(to_bin(replace(golden, bound=bound, reference=reference)))
    done = infer(programs, "header_infer_head", tmp_path / "g.bin")
    assert (done.code, done.err) == (0, "")
    assert ": 384 samples, 384 outputs (2 undetermined), max ULP " in done.out


@pytest.mark.parametrize("name", ON_HEAD)
def test_outputs_of_another_shape_are_no_pass(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    path.write_bytes(to_bin(replace(with_arrays(golden, lambda array: np.repeat(array, 2, axis=1)), x=golden.x)))
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
    return Golden("0" * 64, "float32", x, reference.astype(np.float64), bound, bound / 3, x, accept)


def accepted(golden: Golden) -> NDArray[np.bool_]:
    """The rule as the documentation of :class:`Golden` has it."""
    out = golden.x
    kind = np.select([np.isnan(out), np.isposinf(out), np.isneginf(out)], [1, 2, 3])
    with np.errstate(invalid="ignore", over="ignore"):
        near = (np.abs(out - golden.reference) <= golden.bound) | np.isinf(golden.bound)
    return np.where(np.isfinite(out), near, (golden.accept == kind) | (golden.accept == 4))


def test_exactly_what_a_golden_file_accepts_passes(programs: Programs, tmp_path: Path) -> None:
    program, path = compiled(tmp_path, spoiled=False), tmp_path / "g.bin"
    golden = any_golden(np.random.default_rng(0), 4000)
    path.write_bytes(to_bin(golden))
    done = run(program, path)
    wrong = ~accepted(golden)
    assert 800 < wrong.sum() < 3200
    assert (done.code, done.err) == (1, "")
    assert f"\n{3 * wrong.sum()} of 12000 outputs are wrong; worst: " in done.out
    path.write_bytes(to_bin(with_arrays(golden, lambda array: array[~wrong[:, 0]])))
    done = run(program, path)
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("of its bound: passed\n")


def test_a_header_whose_batches_differ_from_its_singles_is_found(programs: Programs, tmp_path: Path) -> None:
    x = np.ones((20, 1), np.float32)
    bound = np.full((20, 1), np.inf)
    golden = Golden("0" * 64, "float32", x, x.astype(np.float64), bound, bound, x, np.full((20, 1), 4, np.uint8))
    (tmp_path / "g.bin").write_bytes(to_bin(golden))
    done = run(compiled(tmp_path, spoiled=True), tmp_path / "g.bin")
    said = "header_infer: sample 11: predict(x, y) and predict(x, y, n) give other bits\n"
    assert (done.code, done.err) == (1, said)
