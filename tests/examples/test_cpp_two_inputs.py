"""examples/cpp: a model of two inputs and two outputs, of a user's own, through all three programs, right and wrong."""

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
from nalu_export.api.golden_files import Golden, GoldenInput, GoldenOutput, to_bin
from tests.examples.programs import CPP, Done, Programs, run
from tests.goldens import FIELDS, output_of, single, version_1

MODELS = {
    "onnxruntime_infer": ["two_inputs.onnx"],
    "libtorch_infer": ["two_inputs.torchscript.pt"],
    "header_two_inputs": [],
}
HEADER = "header_two_inputs"
SAMPLES = 384
COMPARED = 3 * 2 * SAMPLES


@pytest.fixture(scope="module")
def golden(programs: Programs) -> Golden:
    return read_golden(programs.file("two_inputs.bin"))


def infer(
    name: str, golden: Golden, programs: Programs, folder: Path, write: Callable[[Golden], bytes] = to_bin
) -> Done:
    """A program on another golden file."""
    (folder / "g.bin").write_bytes(write(golden))
    return programs.run(name, *map(programs.file, MODELS[name]), folder / "g.bin")


def with_output(golden: Golden, place: int, **arrays: Any) -> Golden:
    """The same with other arrays for one output."""
    outputs = list(golden.outputs)
    outputs[place] = replace(outputs[place], **arrays)
    return replace(golden, outputs=tuple(outputs))


def with_input(golden: Golden, place: int, values: Any) -> Golden:
    """The same with other numbers for one input."""
    inputs = list(golden.inputs)
    inputs[place] = replace(inputs[place], values=values)
    return replace(golden, inputs=tuple(inputs))


def test_the_model_multiplies_and_adds(golden: Golden) -> None:
    prices, quantities = (given.values.astype(np.float64) for given in golden.inputs)
    assert [given.name for given in golden.inputs] == ["prices", "quantities"]
    assert [output.name for output in golden.outputs] == ["total", "largest"]
    both = np.concatenate([prices, quantities], axis=1)
    usual = ((both >= 1) & (both <= 10)).all(axis=1)
    assert usual.sum() >= 32
    costs = (prices * quantities)[usual]
    for output, expected in zip(golden.outputs, (costs.sum(axis=1), costs.max(axis=1)), strict=True):
        np.testing.assert_allclose(output.reference[usual], expected, rtol=0.03)


@pytest.mark.parametrize("name", MODELS)
def test_it_passes(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    turned = replace(golden, inputs=golden.inputs[::-1], outputs=golden.outputs[::-1])
    for file in (golden, turned):
        done = infer(name, file, programs, tmp_path)
        assert (done.code, done.err) == (0, "")
        verdict = (
            rf": {SAMPLES} samples, {2 * SAMPLES} outputs, max ULP \d+, max E \S+, worst 0\.\d+ of its bound: passed$"
        )
        assert re.search(verdict, done.out.splitlines()[-1])


@pytest.mark.parametrize("name", MODELS)
def test_swapped_inputs_are_found(name: str, golden: Golden, programs: Programs, tmp_path: Path) -> None:
    """As if the program had called predict with the pointers the other way round."""
    prices, quantities = (given.values for given in golden.inputs)
    done = infer(name, with_input(with_input(golden, 0, quantities), 1, prices), programs, tmp_path)
    assert (done.code, done.err) == (1, "")
    verdict, worst = done.out.splitlines()[-2:]
    assert verdict.endswith("of its bound: failed")
    wrong = rf"\d+ of {COMPARED} outputs are wrong; worst: batches of \d+, sample \d+, output (total|largest)\[0\] is "
    assert re.match(wrong, worst)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("place", [0, 1])
def test_one_that_is_past_its_bound_is_named(
    place: int, name: str, golden: Golden, programs: Programs, tmp_path: Path
) -> None:
    output = golden.outputs[place]
    reference, bound = output.reference.copy(), output.bound.copy()
    sample = int(np.flatnonzero(np.isfinite(bound) & (bound > 0))[40])
    reference[sample] += bound[sample]
    bound[sample] /= 100
    done = infer(name, with_output(golden, place, reference=reference, bound=bound), programs, tmp_path)
    assert (done.code, done.err) == (1, "")
    where = rf"batches of \d+, sample {sample}, output {output.name}\[0\] is (\S+), expected "
    found = re.match(rf"3 of {COMPARED} outputs are wrong; worst: {where}", done.out.splitlines()[-1])
    assert found, done.out
    assert float(found[1]) == pytest.approx(float(output.torch[sample]), rel=1e-3)


def other(dtype: type, *shapes: tuple[int, ...]) -> Golden:
    """Inputs of another type or shape, with outputs that fit."""
    values: list[NDArray[Any]] = [np.ones((2, *shape), dtype) for shape in shapes]
    given = (GoldenInput(name, x) for name, x in zip(("prices", "quantities"), values, strict=True))
    outputs = [output_of(name, np.ones(2, np.float32)) for name in ("total", "largest")]
    return Golden("0" * 64, "float32", tuple(given), tuple(outputs))


ONE = single(np.ones((2, 3), np.float32), np.ones((2, 1), np.float32))
REFUSED: dict[str, tuple[Golden, Callable[[Golden], bytes], str]] = {
    "one": (ONE, to_bin, "PATH has 1 inputs (input), the header 2 (prices, quantities)"),
    "version 1": (ONE, version_1, "PATH has 1 inputs (input), the header 2 (prices, quantities)"),
    "type": (
        other(np.float64, (3,), (3,)),
        to_bin,
        "input prices is float64, 2 x 3; the header takes float32, 2 x 3",
    ),
    "shape": (
        other(np.float32, (3,), (4,)),
        to_bin,
        "input quantities is float32, 2 x 4; the header takes float32, 2 x 3",
    ),
    "rank": (
        other(np.float32, (3, 1), (3,)),
        to_bin,
        "input prices is float32, 2 x 3 x 1; the header takes float32, 2 x 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_golden_file_of_something_else_is_refused(
    case: str, golden: Golden, programs: Programs, tmp_path: Path
) -> None:
    another, write, said = REFUSED[case]
    done = infer(HEADER, replace(another, source_sha256=golden.source_sha256), programs, tmp_path, write)
    assert (done.code, done.err) == (2, f"{HEADER}: {said.replace('PATH', str(tmp_path / 'g.bin'))}\n")
    assert "samples" not in done.out


def test_what_is_no_golden_file_of_the_model_is_refused(golden: Golden, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "g.bin"
    usage = "usage: header_two_inputs GOLDEN.bin"
    for words, said in (([], usage), ([path, path], usage), ([tmp_path], f"{tmp_path} is not a file")):
        assert programs.run(HEADER, *words) == Done(2, "", f"{HEADER}: {said}\n")
    done = infer(HEADER, replace(golden, source_sha256="0" * 64), programs, tmp_path)
    said = f"{path} is of the model with sha256 {'0' * 64}, the header of {golden.source_sha256}"
    assert (done.code, done.err) == (2, f"{HEADER}: {said}\n")
    done = infer(HEADER, replace(golden, compute="float64"), programs, tmp_path)
    assert (done.code, done.err) == (2, f"{HEADER}: {path} is for --compute float64, the header computes in float32\n")


def test_outputs_of_another_shape_or_none_are_no_pass(golden: Golden, programs: Programs, tmp_path: Path) -> None:
    deeper = with_output(golden, 1, **{field: getattr(golden.outputs[1], field)[:, None] for field in FIELDS})
    done = infer(HEADER, deeper, programs, tmp_path)
    said = "a batch of 1 x 3 and 1 x 3 gives output largest as 1, expected 1 x 1"
    assert (done.code, done.err) == (1, f"{HEADER}: {said}\n")

    def emptied(output: GoldenOutput) -> GoldenOutput:
        arrays: dict[str, Any] = {field: getattr(output, field)[:0] for field in FIELDS}
        return replace(output, **arrays)

    inputs = tuple(replace(given, values=given.values[:0]) for given in golden.inputs)
    empty = replace(golden, inputs=inputs, outputs=tuple(map(emptied, golden.outputs)))
    done = infer(HEADER, empty, programs, tmp_path)
    said = f"{tmp_path / 'g.bin'} determines none of its 0 outputs; nothing was compared"
    assert (done.code, done.err) == (1, f"{HEADER}: {said}\n")


# A header whose batches are wrong where it is told to.
INVOICE = """#pragma once
#include <cstddef>
namespace nalu {
struct Model {
    static constexpr std::size_t input_count = 2, output_count = COUNT;
    static constexpr std::size_t prices_size = 3, quantities_size = 3, total_size = 1, largest_size = 1;
    static constexpr const char *source_sha256 = "SHA", *compute = "float32", *tool = "none";
    static void predict(const float* prices, const float* quantities, float* total, float* largest) noexcept {
        *total = *largest = 0;
        for (int i = 0; i < 3; ++i) {
            const float cost = prices[i] * quantities[i];
            *total += cost;
            if (cost > *largest) *largest = cost;
        }
    }
    static void predict(const float* prices, const float* quantities, float* total, float* largest,
                        std::size_t n) noexcept {
        for (std::size_t i = 0; i < n; ++i) predict(prices + 3 * i, quantities + 3 * i, total + i, largest + i);
        if (SPOILED && n > 11) largest[11] += 1;
    }
};
}  // namespace nalu
"""


def compiled(compiler: str, folder: Path, *, spoiled: bool = False, count: int = 2) -> Done:
    """header_two_inputs with a header that needs no export."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")
    text = INVOICE.replace("SHA", "0" * 64).replace("SPOILED", str(spoiled).lower()).replace("COUNT", str(count))
    (folder / "invoice.hpp").write_text(text)
    flags = ["-std=c++17", "-O0", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    header = f'-DNALU_HEADER_TWO_INPUTS="{folder / "invoice.hpp"}"'
    return run(compiler, *flags, header, CPP / "header_two_inputs.cpp", "-o", folder / "program")


def invoices(count: int) -> Golden:
    """What that header gives."""
    rng = np.random.default_rng(0)
    prices, quantities = (rng.integers(0, 100, (count, 3)).astype(np.float32) for _ in range(2))
    costs = prices * quantities
    outputs = (output_of("total", costs.sum(axis=1), bound=0), output_of("largest", costs.max(axis=1), bound=0))
    return Golden("0" * 64, "float32", (GoldenInput("prices", prices), GoldenInput("quantities", quantities)), outputs)


@pytest.mark.quick(1)
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_compiles_without_a_warning_and_reads_exact_numbers(compiler: str, tmp_path: Path) -> None:
    assert compiled(compiler, tmp_path) == Done(0, "", "")
    (tmp_path / "g.bin").write_bytes(to_bin(invoices(20)))
    done = run(tmp_path / "program", tmp_path / "g.bin")
    assert (done.code, done.err) == (0, "")
    verdict = "nalu::Model: 20 samples, 40 outputs, max ULP 0, max E 0, worst 0 of its bound: passed"
    assert done.out.splitlines()[-1] == verdict


@pytest.mark.slow
def test_a_header_whose_batches_differ_from_its_singles_is_found(tmp_path: Path) -> None:
    assert compiled("g++", tmp_path, spoiled=True).code == 0
    (tmp_path / "g.bin").write_bytes(to_bin(invoices(20)))
    done = run(tmp_path / "program", tmp_path / "g.bin")
    said = "sample 11, output largest: predict of one sample and of n give other bits"
    assert (done.code, done.err) == (1, f"{HEADER}: {said}\n")


def test_a_header_of_another_model_does_not_compile(tmp_path: Path) -> None:
    done = compiled("g++", tmp_path, count=3)
    assert done.code == 1
    assert "not the header of two_inputs.py" in done.err
