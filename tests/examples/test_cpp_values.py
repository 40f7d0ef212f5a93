"""examples/cpp: models of several inputs and outputs of several types, through both programs."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export.api.golden_files import Golden, GoldenOutput, to_bin
from nalu_export.modules import jit
from tests.examples.programs import Done, Programs
from tests.goldens import FIELDS
from tests.mixed import OUTPUTS, Mixed, golden_of, metadata, onnx_file, scripted, torchscript_file

NAMES = ("onnxruntime_infer", "libtorch_infer")
SAMPLES = 9
# Numbers of one sample, and one that is shared.
SIZE = SAMPLES * (2 + 2 + 1 + 2 + 1 + 3) + 1
# The shared one is compared with each batch: 9 of one, 2 of seven, 1 of all.
COMPARED = 3 * (SIZE - 1) + 9 + 2 + 1
PASSED = rf": {SAMPLES} samples, {SIZE} outputs, max ULP \d+, max E \S+, worst \S+ of its bound: passed$"


def infer(name: str, golden: Golden, programs: Programs, folder: Path, data: bytes | None = None) -> Done:
    """A program with the model of several inputs and outputs, or another file."""
    if data is None:
        data = onnx_file() if name == "onnxruntime_infer" else torchscript_file()
    (folder / "model").write_bytes(data)
    (folder / "g.bin").write_bytes(to_bin(golden))
    return programs.run(name, folder / "model", folder / "g.bin", "--threads", "1")


def with_output(golden: Golden, name: str, change: Callable[[GoldenOutput], GoldenOutput]) -> Golden:
    """The same with one output changed."""
    return replace(
        golden, outputs=tuple(change(output) if output.name == name else output for output in golden.outputs)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_types_and_shapes_pass(name: str, programs: Programs, tmp_path: Path) -> None:
    done = infer(name, golden_of(SAMPLES), programs, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.search(PASSED, done.out.splitlines()[-1])


@pytest.mark.parametrize("name", NAMES)
def test_they_are_matched_by_name(name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    inputs, outputs = golden.inputs[2:] + golden.inputs[:2], golden.outputs[2:] + golden.outputs[:2]
    turned = replace(golden, inputs=inputs, outputs=outputs)
    done = infer(name, turned, programs, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.search(PASSED, done.out.splitlines()[-1])


def renamed(golden: Golden) -> Golden:
    """The same with names that no model has."""
    return replace(
        golden,
        inputs=tuple(replace(given, name=f"other {given.name}") for given in golden.inputs),
        outputs=tuple(replace(output, name=f"other {output.name}") for output in golden.outputs),
    )


@pytest.mark.parametrize("name", NAMES)
def test_other_names_are_matched_by_order(name: str, programs: Programs, tmp_path: Path) -> None:
    assert infer(name, renamed(golden_of(SAMPLES)), programs, tmp_path).code == 0
    swapped = golden_of(SAMPLES, ["minus", "twice", *list(OUTPUTS)[2:]])
    done = infer(name, renamed(swapped), programs, tmp_path)
    assert (done.code, done.err) == (1, "")


def test_a_file_without_names_is_matched_by_order(programs: Programs, tmp_path: Path) -> None:
    done = infer("libtorch_infer", golden_of(SAMPLES), programs, tmp_path, torchscript_file(names=False))
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("name", NAMES)
def test_swapped_outputs_are_found(name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    first, second = golden.outputs[:2]
    swapped = (replace(second, name=first.name), replace(first, name=second.name), *golden.outputs[2:])
    done = infer(name, replace(golden, outputs=swapped), programs, tmp_path)
    assert (done.code, done.err) == (1, "")
    verdict, worst = done.out.splitlines()[-2:]
    assert verdict.endswith("of its bound: failed")
    wrong = rf"{3 * SAMPLES * 4} of {COMPARED} outputs are wrong; worst: batches of \d, sample \d, output (twice|minus)"
    assert re.match(wrong + r"\[[01]\] is \S+, expected \S+ ± 0\.001$", worst)


# What is wrong, where, how often of the batches of 1, 7 and all, and what is said.
WRONG: dict[str, tuple[str, tuple[int, ...], float, int, str]] = {
    "int64": ("total", (5,), 1.0, 3, "sample 5, output total[0]"),
    "int32": ("next", (4, 2), -1.0, 3, "sample 4, output next[2]"),
    "shared": ("k", (), 1.0, 12, "output k[0]"),
    "float64": ("square", (8,), 1e-3 * 2, 3, "sample 8, output square[0]"),
    "float32": ("minus", (0, 1), 1e-3 * 2, 3, "sample 0, output minus[1]"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", WRONG)
def test_one_wrong_number_is_found_and_named(case: str, name: str, programs: Programs, tmp_path: Path) -> None:
    key, index, by, times, place = WRONG[case]
    golden = golden_of(SAMPLES)
    expected = next(output for output in golden.outputs if output.name == key)
    expected.reference[index] += by
    done = infer(name, golden, programs, tmp_path)
    assert (done.code, done.err) == (1, "")
    worst = done.out.splitlines()[-1]
    pattern = (
        rf"{times} of {COMPARED} outputs are wrong; worst: batches of \d, {re.escape(place)} is (\S+), expected (\S+)"
    )
    found = re.match(pattern, worst)
    assert found, worst
    assert float(found[1]) == pytest.approx(float(expected.torch[index]), rel=1e-6, abs=1e-6)
    assert float(found[2]) == pytest.approx(float(expected.reference[index]), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_truth_value_is_found(name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    expected = next(output for output in golden.outputs if output.name == "inverse")
    expected.reference[3, 1, 0] = 1 - expected.reference[3, 1, 0]
    done = infer(name, golden, programs, tmp_path)
    was, wanted = int(expected.torch[3, 1, 0]), int(expected.reference[3, 1, 0])
    assert (done.code, done.err) == (1, "")
    said = f"sample 3, output inverse[1] is {was}, expected {wanted}"
    assert re.search(rf"^3 of {COMPARED} .*, {re.escape(said)}$", done.out, re.M)


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_compared_as_integers(name: str, programs: Programs, tmp_path: Path) -> None:
    """In float64 it would be equal."""
    golden = golden_of(SAMPLES)
    given, output = golden.inputs[1], golden.outputs[2]
    given.values[2], output.reference[2] = 2**62 - 1, 2.0**63 - 1024
    assert infer(name, golden, programs, tmp_path).code == 1
    given.values[2], output.reference[2] = 2**61, 2.0**62
    assert infer(name, golden, programs, tmp_path).code == 0
    given.values[2] = 2**61 + 1
    assert infer(name, golden, programs, tmp_path).code == 1
    output.bound[2] = np.inf
    done = infer(name, golden, programs, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert f"{SIZE} outputs (1 undetermined), " in done.out


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_float64_are_counted_in_float64(name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES, ["square", "k"] + [key for key in OUTPUTS if key not in ("square", "k")])
    reference = golden.outputs[0].reference
    reference[3] += 5 * np.spacing(reference[3])
    done = infer(name, golden, programs, tmp_path)
    assert (done.code, done.err) == (0, "")
    assert ", max ULP 5, " in done.out


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_another_number_of_them_is_refused(kind: str, name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    values: dict[str, Any] = {kind: getattr(golden, kind)[1:]}
    done = infer(name, replace(golden, **values), programs, tmp_path)
    (first, *rest) = [value.name for value in getattr(golden, kind)]
    said = (
        f"{tmp_path / 'g.bin'} has {len(rest)} {kind} ({', '.join(rest)}), {tmp_path / 'model'} {len(rest) + 1} "
        f"({', '.join([first, *rest])})"
    )
    assert (done.code, done.err) == (2, f"{name}: {said}\n")


@pytest.mark.parametrize("name", NAMES)
def test_another_type_or_shape_of_an_output(name: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    batch = "a batch of 1 x 2 and 1 and 1 x 2 x 1 and 1 and 1 x 3 gives output "
    done = infer(
        name,
        with_output(golden, "total", lambda output: replace(output, torch=output.torch.astype(np.float64))),
        programs,
        tmp_path,
    )
    assert (done.code, done.err) == (1, f"{name}: {batch}total as int64, expected float64\n")
    wider: dict[str, Any] = {field: np.repeat(getattr(golden.outputs[0], field), 2, axis=1) for field in FIELDS}
    done = infer(name, with_output(golden, "twice", lambda output: replace(output, **wider)), programs, tmp_path)
    assert (done.code, done.err) == (1, f"{name}: {batch}twice as 1 x 2, expected 1 x 4\n")
    done = infer(name, with_output(golden, "total", lambda output: replace(output, shared=True)), programs, tmp_path)
    assert (done.code, done.err) == (1, f"{name}: {batch}total as 1, expected {SAMPLES}\n")


def test_another_type_of_an_input(programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES)
    first = replace(golden.inputs[0], values=golden.inputs[0].values.astype(np.float64))
    done = infer("onnxruntime_infer", replace(golden, inputs=(first, *golden.inputs[1:])), programs, tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "input data type" in done.err


def test_an_output_of_nothing_but_integers_passes(programs: Programs, tmp_path: Path) -> None:
    class Next(nn.Module):
        def forward(self, count: Tensor) -> list[Tensor]:
            return [count + count]

    golden = golden_of(SAMPLES, ["total"])
    alone = replace(golden, inputs=(golden.inputs[1],))
    done = infer("libtorch_infer", alone, programs, tmp_path, scripted(Next()))
    assert (done.code, done.err) == (0, "")
    verdict = f": {SAMPLES} samples, {SAMPLES} outputs, max ULP 0, max E 0, worst 0 of its bound: passed\n"
    assert done.out.endswith(verdict)


class Half(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.half()


class Nested(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return x, (x, x)


class Number(nn.Module):
    def forward(self, x: Tensor) -> int:
        return len(x)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Half(), "the model's output 0 is of Half; float32, float64, int32, int64 or bool is expected"),
        (Nested(), "the model's output is neither a tensor nor a tuple or list of tensors"),
        (Number(), "the model's output is neither a tensor nor a tuple or list of tensors"),
    ],
    ids=["half", "nested", "number"],
)
def test_what_is_no_tensor_is_refused(module: nn.Module, said: str, programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES, ["twice"])
    alone = replace(golden, inputs=golden.inputs[:1])
    done = infer("libtorch_infer", alone, programs, tmp_path, scripted(module))
    assert (done.code, done.err) == (2, f"libtorch_infer: {said}\n")


def test_another_number_of_outputs_than_the_file_says(programs: Programs, tmp_path: Path) -> None:
    golden = golden_of(SAMPLES, list(OUTPUTS)[1:])
    done = infer("libtorch_infer", golden, programs, tmp_path, torchscript_file(names=False))
    said = "a batch of 1 x 2 and 1 and 1 x 2 x 1 and 1 and 1 x 3 gives 7 outputs, expected 6"
    assert (done.code, done.err) == (1, f"libtorch_infer: {said}\n")


BAD_LISTS = [
    "{}", "[", "[1]", '[{"name": 1}]',
    '[{"name": "x"', '[{"name": "x"}] x', "[{}{}]", '[{"shape": [1,]}]', '[{"a": !}]',
    '[{"a": ' + "[" * 99 + "]" * 99 + "}]", '[{"a": [}]', '[{"a": {"b"}}]',
]  # fmt: skip


def test_lists_of_inputs_may_say_more(programs: Programs, tmp_path: Path) -> None:
    more = {"free": [[1, -2.5e3], {}], "shared": True, "of": None, "about": {"a": {"b": []}}}
    values = json.loads(metadata()["nalu_export.inputs"])
    texts = metadata() | {"nalu_export.inputs": json.dumps([more | value for value in values])}
    with jit.quiet():
        data = jit.save(torch.jit.script(Mixed()), {"nalu_export.json": json.dumps(texts)})
    turned = replace(golden_of(SAMPLES), inputs=golden_of(SAMPLES).inputs[::-1])
    done = infer("libtorch_infer", turned, programs, tmp_path, data)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("text", BAD_LISTS)
def test_lists_of_inputs_that_are_none(text: str, programs: Programs, tmp_path: Path) -> None:
    texts = metadata() | {"nalu_export.inputs": text}
    data = jit.save(jit.trace(nn.ReLU(), (torch.zeros(1, 2),)), {"nalu_export.json": json.dumps(texts)})
    done = infer("libtorch_infer", golden_of(SAMPLES), programs, tmp_path, data)
    said = f"{tmp_path / 'model'}: its metadata inputs is not what an export writes"
    assert (done.code, done.out, done.err) == (2, "", f"libtorch_infer: {said}\n")
