"""examples/cpp: what the programs print of a right file, of a wrong one, and of a machine without a GPU."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nalu_export.api.artifact import encode_metadata, read_artifact
from nalu_export.api.golden import read_golden
from nalu_export.modules import jit
from tests.examples.programs import Programs, make_cpp

GOLDEN = "head.bin"
LIBRARIES = {
    "onnxruntime_infer": ("head.onnx", f"onnxruntime {onnxruntime.__version__}, CPUExecutionProvider"),
    "libtorch_infer": ("head.torchscript.pt", f"libtorch {torch.__version__.partition('+')[0]}, TorchScript"),
}
FIGURES = r": {0} samples, {0} outputs, max ULP (\d+), max E (\S+), worst (\S+) of its bound: passed"


def on_cuda() -> bool:
    """Whether onnxruntime or torch would find a device here."""
    return torch.cuda.is_available() or "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def figures(line: str, who: str, samples: int) -> tuple[int, float, float]:
    """Max ULP, max E and the worst ratio out of a line that says that everything passed."""
    found = re.fullmatch(re.escape(who) + FIGURES.format(samples), line)
    assert found, line
    return int(found[1]), float(found[2]), float(found[3])


def steps(x: NDArray[np.float32]) -> NDArray[np.int64]:
    """float32 numbered in their order."""
    bits = x.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def test_make_cpp_runs_every_program_on_every_model(programs: Programs) -> None:
    verdicts = [line for line in programs.printed.splitlines() if " samples, " in line]
    assert len(verdicts) == 12
    assert all(line.endswith("of its bound: passed") for line in verdicts)
    assert sum(line.startswith("nalu::Model: 384 ") for line in verdicts) == 4
    names = "header_infer_digits header_infer_head header_infer_head_float64 header_two_inputs"
    built = [*names.split(), "libtorch_infer", "onnxruntime_infer"]
    assert f"built: {', '.join(built)} in {programs.folder}\n" in programs.printed
    assert all((programs.folder / name).is_file() for name in built)


def test_a_second_run_makes_and_builds_nothing(programs: Programs) -> None:
    patterns = ("*_infer*", "header_*", "models/*")
    files = {path: path.stat().st_mtime_ns for pattern in patterns for path in programs.folder.glob(pattern)}
    done = make_cpp()
    assert (done.code, done.err) == (0, "")
    assert "nalu-export" not in done.out
    assert {path: path.stat().st_mtime_ns for path in files} == files


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_program_shows_the_metadata_of_its_file(name: str, programs: Programs) -> None:
    model, _ = LIBRARIES[name]
    done = programs.run(name, programs.file(model), programs.file(GOLDEN))
    assert (done.code, done.err) == (0, "")
    shown = [line.split(None, 1) for line in done.out.splitlines()[:-1]]
    texts = {key.removeprefix("nalu_export."): text for key, text in encoded(programs.file(model)).items()}
    assert [key for key, _ in shown] == sorted(texts)
    for key, text in shown:
        assert text == texts[key] or (len(text) == 100 and text == texts[key][:97] + "...")


def encoded(path: Path) -> dict[str, str]:
    """The metadata of an artifact as the texts that are in it."""
    return encode_metadata(read_artifact(path).metadata)


def test_the_figures_are_those_of_the_same_library_in_python(programs: Programs) -> None:
    golden = read_golden(programs.file(GOLDEN))
    x, expected = golden.inputs[0].values, golden.outputs[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(programs.file("head.onnx"), options, providers=["CPUExecutionProvider"])
    out = np.stack([outputs(session, x, size) for size in (1, 5, 7)])
    done = programs.run("onnxruntime_infer", programs.file("head.onnx"), programs.file(GOLDEN), *threads(1, 5))
    ulp, e, worst = figures(done.out.splitlines()[-1], LIBRARIES["onnxruntime_infer"][1], 384)
    assert ulp == np.abs(steps(out) - steps(expected.reference.astype(np.float32))).max()
    assert e == pytest.approx(np.abs((out - expected.reference) / expected.unit).max(), rel=6e-3)
    assert worst == pytest.approx(np.abs((out - expected.reference) / expected.bound).max(), rel=6e-3)


def threads(count: int, batch: int) -> list[str]:
    return ["--threads", str(count), "--batch", str(batch)]


def outputs(session: Any, x: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    parts = [session.run(None, {"input": x[start : start + size]})[0] for start in range(0, len(x), size)]
    return np.concatenate(parts)


@pytest.mark.skipif(on_cuda(), reason="there is CUDA here")
@pytest.mark.parametrize(
    ("name", "option", "text"),
    [
        ("onnxruntime_infer", "--provider", f"onnxruntime {onnxruntime.__version__} was built without "
         "CUDAExecutionProvider; use onnxruntime-gpu"),
        ("libtorch_infer", "--device", f"libtorch {torch.__version__.partition('+')[0]} sees no CUDA device, or was "
         "built without CUDA"),
    ],
)  # fmt: skip
def test_cuda_that_is_not_there_is_never_the_cpu(name: str, option: str, text: str, programs: Programs) -> None:
    done = programs.run(name, programs.file(LIBRARIES[name][0]), programs.file(GOLDEN), option, "cuda")
    assert (done.code, done.out, done.err) == (3, "", f"{name}: {text}\n")


@pytest.mark.cuda
@pytest.mark.parametrize(("name", "option"), [("onnxruntime_infer", "--provider"), ("libtorch_infer", "--device")])
@pytest.mark.parametrize("model", ["head", "head_float64", "two_inputs", "digits"])
def test_cuda_passes_on_cuda(model: str, name: str, option: str, programs: Programs) -> None:
    suffix = LIBRARIES[name][0].removeprefix("head")
    done = programs.run(name, programs.file(model + suffix), programs.file(f"{model}.bin"), option, "cuda")
    if done.code == 3:
        pytest.skip(done.err.strip())
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1].endswith("passed")


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "usage: NAME MODEL GOLDEN.bin|--serve [OPTION cpu|cuda] [--threads N] [--batch N]"),
        (["m"], "usage: NAME MODEL GOLDEN.bin|--serve [OPTION cpu|cuda] [--threads N] [--batch N]"),
        (["m", "g", "--serve"], "usage: NAME MODEL GOLDEN.bin|--serve [OPTION cpu|cuda] [--threads N] [--batch N]"),
        (["m", "g", "--fast"], "no option --fast; usage: NAME MODEL GOLDEN.bin|--serve [OPTION cpu|cuda] "
         "[--threads N] [--batch N]"),
        (["m", "g", "--batch"], "--batch needs a value; usage: NAME MODEL GOLDEN.bin|--serve [OPTION cpu|cuda] "
         "[--threads N] [--batch N]"),
        (["m", "g", "--threads", "0"], "--threads is 0; a whole number from 1 on is expected"),
        (["m", "g", "--threads", "1\n2"], "--threads is 1; a whole number from 1 on is expected"),
        (["m", "g", "--batch", "99999999999"], "--batch is 99999999999; a whole number from 1 on is expected"),
        (["m", "g", "OPTION", "tpu"], "OPTION is tpu; cpu or cuda is expected"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said(words: list[str], text: str, name: str, programs: Programs) -> None:
    option = "--provider" if name == "onnxruntime_infer" else "--device"
    done = programs.run(name, *(word.replace("OPTION", option) for word in words))
    text = text.replace("NAME", name).replace("OPTION", option)
    assert (done.code, done.out, done.err) == (2, "", f"{name}: {text}\n")


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_file_of_something_else_is_refused(name: str, programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"not a model")
    done = programs.run(name, tmp_path / "m", programs.file(GOLDEN))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"{name}: {LIBRARIES[name][1].partition(',')[0]} refuses {tmp_path / 'm'}: ")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "f")
    for file in ("d", "f", "none"):
        done = programs.run(name, tmp_path / file, programs.file(GOLDEN))
        assert (done.code, done.out, done.err) == (2, "", f"{name}: {tmp_path / file} is not a file\n")


def onnx_file(path: Path, inputs: int, dtype: int) -> Path:
    """An ONNX file without metadata."""
    values = [helper.make_tensor_value_info(f"x{index}", dtype, ["n", 16]) for index in range(inputs)]
    node = helper.make_node("Sum", [value.name for value in values], ["y"])
    graph = helper.make_graph([node], "g", values, [helper.make_tensor_value_info("y", dtype, ["n", 16])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("inputs", "dtype", "text"),
    [
        (1, TensorProto.FLOAT, "PATH does not say what it was exported from; export it with nalu-export"),
        (2, TensorProto.FLOAT, "PATH does not say what it was exported from; export it with nalu-export"),
        (1, TensorProto.FLOAT16, "the model's input x0 is no tensor of float32, float64, int32, int64 or bool"),
    ],
)
def test_an_onnx_file_of_another_kind_is_refused(
    inputs: int, dtype: int, text: str, programs: Programs, tmp_path: Path
) -> None:
    path = onnx_file(tmp_path / "m.onnx", inputs, dtype)
    done = programs.run("onnxruntime_infer", path, programs.file(GOLDEN))
    text = text.replace("PATH", str(path))
    assert (done.code, done.out, done.err) == (2, "", f"onnxruntime_infer: {text}\n")


def test_metadata_of_torchscript_is_read_with_every_escape(programs: Programs, tmp_path: Path) -> None:
    module = jit.trace(torch.nn.Linear(16, 1), (torch.zeros(1, 16),))
    path = tmp_path / "m.pt"
    texts = {"nalu_export.tool": 'a "b" \\ / é ∑ 😀 \x7f', "other": "x" * 99 + "é", "a\tb": "one\ntwo"}
    shown = ["a b            one", "other          " + "x" * 97 + "...", 'tool           a "b" \\ / é ∑ 😀  ']
    for plain in (True, False):
        path.write_bytes(jit.save(module, {"nalu_export.json": json.dumps(texts, ensure_ascii=plain)}))
        done = programs.run("libtorch_infer", path, programs.file(GOLDEN))
        assert done.out.splitlines() == ["  " + line for line in shown]
        text = f"libtorch_infer: {path} does not say what it was exported from; export it with nalu-export\n"
        assert (done.code, done.err) == (2, text)


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"a"}', '{"a": 1}', '{"a": "b"} x', '{"a": "\\u12"}', '{"a": "\\ud800"}', '{"a": "\\x"}', '{"a":"b',
     '{"a": "\\ud800\\u0041"}', '{"a": "\\udc00"}', '{"a": "b",}'],
)  # fmt: skip
def test_metadata_that_is_no_flat_json_is_refused(text: str, programs: Programs, tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    path.write_bytes(jit.save(jit.trace(torch.nn.ReLU(), (torch.zeros(1, 16),)), {"nalu_export.json": text}))
    done = programs.run("libtorch_infer", path, programs.file(GOLDEN))
    said = f"libtorch_infer: {path}: its extra file nalu_export.json is not what an export writes\n"
    assert (done.code, done.out, done.err) == (2, "", said)


def test_onnxruntime_leaves_nothing_behind(programs: Programs, tmp_path: Path) -> None:
    done = programs.run("onnxruntime_infer", programs.file("head.onnx"), programs.file(GOLDEN), HOME=str(tmp_path))
    assert done.code == 0
    assert list(tmp_path.iterdir()) == []
