"""nalu_export.api.export: the whole way from a model to a checked file, and every way in which it must not write."""

import copy
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

import nalu_export
from nalu_export import (
    NAC,
    NALU,
    BackboneHead,
    InputError,
    NALUCell,
    ParityError,
    RuntimeUnavailableError,
    build_head,
    formats,
)
from nalu_export.api.artifact import read_artifact
from nalu_export.api.export import path_beside
from nalu_export.formats import FormatName
from nalu_export.formats.base import Draft, EmitOptions
from nalu_export.graph.folding import WEIGHTS, Weights
from nalu_export.source.preparing import SourceOptions, prepared
from tests.captured import graph_of
from tests.exported import exported
from tests.formats.programs import CHECKED
from tests.handwritten.nets import NETS


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def source(tmp_path: Path, nalu: NALU) -> Path:
    path = tmp_path / "model.pt"
    nalu_export.save(nalu, path)
    return path


@pytest.mark.parametrize(("name", "suffix"), [("onnx", ".onnx"), ("torchscript", ".torchscript.pt")])
def test_a_file_becomes_a_checked_file_beside_it(source: Path, name: FormatName, suffix: str) -> None:
    before = _sha(source)
    target = path_beside(source, name)
    artifact = nalu_export.export(source, target)
    assert artifact.path == target == source.with_name("model" + suffix)
    assert artifact.format == name
    assert target.read_bytes() == artifact.data
    assert artifact.report.passed
    assert {row.runtime for row in artifact.report.rows} == {"torch", formats.get(name).runtime}
    assert _sha(source) == before
    assert {path.name for path in source.parent.iterdir()} == {"model.pt", "model" + suffix}


def test_metadata_says_what_it_is(source: Path) -> None:
    target = source.with_name("model.onnx")
    artifact = nalu_export.export(source, target, weights="live", compute="float64", seed=7)
    found = read_artifact(target).metadata
    assert found == artifact.metadata
    assert found["tool"] == f"nalu_export {nalu_export.__version__}"
    assert found["torch"] == torch.__version__
    assert found["source_sha256"] == _sha(source)
    assert (found["weights"], found["compute"]) == ("live", "float64")
    assert [layer["path"] for layer in found["layers"]] == ["layers.0", "layers.1"]
    assert found["layers"][0]["eps"] == 1e-10
    assert found["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 4]}]
    assert found["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 2]}]
    assert found["parity"] == {"verdict": "passed", "runtime": "onnxruntime-cpu", "seed": 7}
    assert read_artifact(exported(source, check=False)).metadata["parity"] == {"verdict": "unchecked"}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKED)
def test_the_same_source_gives_the_same_bytes_from_any_folder(source: Path, name: FormatName, tmp_path: Path) -> None:
    first = nalu_export.export(source, format=name).data
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    shutil.copy(source, elsewhere / "other name.pt")
    assert nalu_export.export(elsewhere / "other name.pt", format=name).data == first
    command = [sys.executable, "-m", "nalu_export", "../model.pt", "--format", name, "-o", "out", "-q"]
    subprocess.run(command, cwd=elsewhere, check=True)
    assert (elsewhere / "out").read_bytes() == first


def test_a_module_in_memory_is_a_source_too(nalu: NALU, tmp_path: Path) -> None:
    training = nalu.train()
    artifact = nalu_export.export(training, tmp_path / "a.onnx")
    assert training.training
    assert all(parameter.requires_grad for parameter in training.parameters())
    assert len(artifact.metadata["source_sha256"]) == 64


@pytest.mark.parametrize("name", CHECKED)
def test_without_a_path_the_artifact_is_in_memory_and_nothing_is_written(
    source: Path, name: FormatName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    artifact = nalu_export.export(source, format=name)
    assert (artifact.path, artifact.name, artifact.format) == (None, f"{name} in memory", name)
    assert artifact.report.passed
    assert artifact.data == nalu_export.export(source, tmp_path / "file", format=name).data
    report = nalu_export.check(source, artifact, samples=4, search=0)
    assert (report.passed, report.subject["artifact"]) == (True, f"{name} in memory")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file", "model.pt"]
    _emit_something_else(monkeypatch, name)
    with pytest.raises(ParityError, match=rf"^{name} in memory, the check failed: {formats.get(name).runtime} on "):
        nalu_export.export(source, format=name)


@pytest.mark.parametrize(
    ("file", "told"),
    [("a.onnx", "onnx"), ("a.ONNX", "onnx"), ("a.hpp", "cpp"), ("a.h", "cpp"), ("a.torchscript.pt", "torchscript"),
     ("a.pt", "torchscript"), ("a.txt", "onnx"), ("a", "onnx"), (".onnx", "onnx")],
)  # fmt: skip
def test_the_suffix_says_the_format(nac: NAC, file: str, told: FormatName, tmp_path: Path) -> None:
    assert nalu_export.export(nac, tmp_path / file, check=False).format == told


def test_a_suffix_that_contradicts_the_format(nac: NAC, tmp_path: Path) -> None:
    cases: list[tuple[str, FormatName, str]] = [
        ("a.hpp", "onnx", r"\.hpp is a suffix of format cpp"),
        ("a.onnx", "torchscript", r"\.onnx is a suffix of format onnx"),
        ("a.torchscript.pt", "cpp", r"\.torchscript\.pt is a suffix of format torchscript"),
    ]
    for file, name, text in cases:
        with pytest.raises(InputError, match=rf"^{tmp_path}/{file}: {text}, and format is {name}; change one of them$"):
            nalu_export.export(nac, tmp_path / file, format=name, check=False)
        assert nalu_export.export(nac, tmp_path / "a.bin", format=name, check=False).format == name
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("gate", ["matrix", "row"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("eps", [1e-12, 1e-2])
def test_every_kind_of_nalu_passes_its_check(tmp_path: Path, gate: str, tied: bool, eps: float) -> None:
    model = NALU(3, 4, 2, eps=eps, tied=tied, gate=gate)
    assert nalu_export.export(model, tmp_path / "a.onnx").report.passed


@pytest.mark.slow
def test_images_are_free_in_size_and_checked_at_several(image_model: BackboneHead, tmp_path: Path) -> None:
    artifact = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(12, 10))
    assert artifact.notes == ()
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, "height", "width"]
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    for size in [(12, 10), (30, 9)]:
        x = np.random.default_rng(0).uniform(0, 1, (2, 1, *size)).astype(np.float32)
        with torch.no_grad():
            np.testing.assert_allclose(
                session.run(None, {"input": x})[0], image_model(torch.from_numpy(x)), rtol=1e-4, atol=1e-5
            )


@pytest.mark.slow
def test_a_free_size_that_would_be_wrong_is_fixed_and_said(tmp_path: Path) -> None:
    """Adaptive pooling to k > 1 exports with free axes and is wrong at every other size; no exporter says so."""
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(3))
    model = build_head(backbone, 2, [3], "regression", 1).eval()
    artifact = nalu_export.export(model, tmp_path / "a.onnx", input_size=(9, 9))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 9, 9]
    assert artifact.notes[0].startswith("the image size is fixed at 9×9: at another size, ")
    assert artifact.report.passed


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("name", "size", "note"),
    [
        ("U-Net", (16, 16), "height a multiple of 4 and width a multiple of 4"),
        ("inline in a CNN", (12, 12), ""),
    ],
)
def test_which_sizes_of_images_a_model_takes_is_said(
    tmp_path: Path, name: str, size: tuple[int, int], note: str
) -> None:
    artifact = nalu_export.export(NETS[name].build(), tmp_path / "a.onnx", input_size=size)
    assert artifact.metadata["inputs"][0]["shape"][2:] == ["height", "width"]
    text = f"neither the model nor the file runs on images of every size: {note}"
    assert artifact.notes == ((text,) if note else ())


@pytest.mark.slow
def test_positions_that_are_learned_fix_the_size(tmp_path: Path) -> None:
    """A ViT adds one vector to each patch, so it runs where there are as many; 17 rows have as many as 16."""
    net = NETS["ViT"]
    artifact = nalu_export.export(net.build(), tmp_path / "a.onnx", input_size=net.shape[1:])
    text = "neither the model nor the file runs on images of every size: height 16 and width 16"
    assert artifact.notes == (text,)
    assert nalu_export.check(net.build(), artifact, samples=4, search=0, input_size=(16, 16)).passed
    with pytest.raises(InputError, match=r"does not run on 1×20×20 images \(.+\); give another input_size=\(H, W\)$"):
        nalu_export.export(net.build(), tmp_path / "b.onnx", input_size=(20, 20))
    assert not (tmp_path / "b.onnx").exists()


def test_what_layers_do_not_tell_is_told_by_an_example(tmp_path: Path) -> None:
    """Steps of a sequence: the example's number of them is the file's."""
    net = NETS["loop of three steps"]
    artifact = nalu_export.export(net.build(), tmp_path / "a.onnx", example_inputs=torch.zeros(2, *net.shape))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", *net.shape]
    assert artifact.notes == ("the batch is free; the other axes are fixed at 3×4",)
    report = nalu_export.check(net.build(), artifact, samples=4, search=0, example_inputs=torch.zeros(2, *net.shape))
    assert report.passed
    assert [port["shape"] for port in report.subject["inputs"]] == [["batch", 3, 4]]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"arithmetic": ["head"]}, InputError,
         r"^arithmetic is 'head', but the model runs no module of that path or class; it runs 'layers\.0', "
         r"'layers\.1'"),
        ({"arithmetic": [nn.Conv2d]}, InputError,
         r"^arithmetic is 'Conv2d', but the model runs no module of that path or class"),
        ({"example_inputs": torch.zeros(2, 4).int()}, InputError,
         r"^NALU\.forward\(x\) does not run on x int32 \(3, 4\): "),
        ({"example_inputs": torch.zeros(2, 4), "input_size": (8, 8)}, InputError,
         r"^input_size and example_inputs are both given; give one, because an example has the size of its images$"),
    ],
)  # fmt: skip
def test_what_a_model_takes_and_what_of_it_is_arithmetic_is_looked_at(
    nalu: NALU, tmp_path: Path, options: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        nalu_export.export(nalu, tmp_path / "a.onnx", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_user_names_the_arithmetic(nac: NAC, nalu: NALU, tmp_path: Path) -> None:
    """What is not named is exported by torch.onnx, which deletes eps; the check sees where."""
    artifact = nalu_export.export(nac, tmp_path / "a.onnx", arithmetic=["layers.1"])
    assert artifact.report.passed
    assert [layer["path"] for layer in artifact.metadata["layers"]] == ["layers.1"]
    with pytest.raises(
        ParityError, match=r"distribution zeros: .* are NaN or infinite .*first divergence: layers\.1\.x\["
    ):
        nalu_export.export(nalu, tmp_path / "b.onnx", arithmetic=["layers.1"])
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_flattened_map_fixes_the_size(tmp_path: Path, name: FormatName) -> None:
    backbone = nn.Sequential(nn.Conv2d(1, 2, 3))
    model = build_head(backbone, 2, [2], "regression", 1, pool=None, feature_size=(4, 4)).eval()
    artifact = nalu_export.export(model, tmp_path / "a", format=name, input_size=(6, 6))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 6, 6]
    assert "the image size is fixed at 6×6" in artifact.notes[0]
    with pytest.raises(InputError, match="flattens a feature map of 4×4; say which image size"):
        nalu_export.export(model, tmp_path / "a", format=name)


def test_a_header_of_what_is_behind_a_flattened_map_needs_its_size(tmp_path: Path) -> None:
    """To run the model once; what the header holds takes no images."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 3), NALU(3, 1)).eval()
    with pytest.raises(InputError, match=r"input.size"):
        nalu_export.export(model, tmp_path / "a.hpp", format="cpp", check=False)
    assert not list(tmp_path.iterdir())
    artifact = nalu_export.export(model, tmp_path / "a.hpp", format="cpp", check=False, input_size=(6, 6))
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 3]


@pytest.mark.slow
def test_without_a_runtime_an_unchecked_export_keeps_the_size_that_it_knows(
    image_model: BackboneHead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> object:
        raise RuntimeUnavailableError("onnxruntime-cpu: onnxruntime is not installed")

    monkeypatch.setattr("nalu_export.runtimes.onnxruntime_cpu.import_onnxruntime", missing)
    artifact = nalu_export.export(image_model, tmp_path / "a.onnx", input_size=(8, 8), check=False)
    assert artifact.metadata["inputs"][0]["shape"] == ["batch", 1, 8, 8]
    assert artifact.notes[0].endswith("other sizes could not be tried: onnxruntime-cpu: onnxruntime is not installed")
    with pytest.raises(RuntimeUnavailableError):
        nalu_export.export(image_model, tmp_path / "b.onnx", input_size=(8, 8))
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.quick(1)
@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_in_float64_are_rounded_only_where_float32_computes(weights: Weights, tmp_path: Path) -> None:
    """Behind a CNN too; the float64 arithmetic has the weights of the model, not of its float32 copy."""
    head = NALU(3, 2).double()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.rand(parameter.shape, dtype=torch.float64))
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).double().eval()
    path = tmp_path / "a.onnx"
    artifact = nalu_export.export(model, path, weights=weights)
    assert "float64 weights are rounded to float32; compute='float64' keeps" in artifact.notes[0]
    assert not any("float64 are" in note for note in nalu_export.export(head, path, compute="float64").notes)
    nalu_export.export(head, path, weights=weights, compute="float64")
    assert nalu_export.check(head, path).passed
    rounded = copy.deepcopy(head).float().double()
    assert not nalu_export.check(rounded, path).passed


# --- what must not be written -----------------------------------------------------------------------------------


def _emit_something_else(monkeypatch: pytest.MonkeyPatch, name: FormatName = "onnx") -> None:
    """From now on the format emits a model of other weights, whatever it is given."""
    kind = formats.get(name)
    torch.manual_seed(99)
    wrong: Draft = kind.emit(graph_of(NALU(4, 5, 2)), EmitOptions())
    monkeypatch.setattr(type(kind), "emit", lambda *_: wrong)


def test_a_failed_check_leaves_no_file_and_no_trace(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _emit_something_else(monkeypatch)
    with pytest.raises(ParityError, match=r"model\.onnx: not written, the check failed: onnxruntime-cpu on") as error:
        exported(source)
    assert error.value.exit_code == 1
    assert error.value.report is not None
    assert [path.name for path in source.parent.iterdir()] == ["model.pt"]


def test_a_failed_check_leaves_the_old_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = exported(source)
    before = target.read_bytes()
    _emit_something_else(monkeypatch)
    with pytest.raises(ParityError):
        exported(source)
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "abacus"}, "format is 'abacus'; allowed: cpp, onnx, torchscript"),
        ({"weights": "frozen"}, "weights is 'frozen'; allowed: 'folded', 'live'"),
        ({"compute": "float16"}, "compute is 'float16'; allowed: 'float32', 'float64'"),
        ({"opset": 13}, "opset is 13; allowed: 17 to 24"),
        ({"input_size": (8, 8)}, "input_size is given, but the model takes 4 features, not images"),
        ({"opzet": 1}, r"^export takes no argument 'opzet'; did you mean 'opset'\?$"),
        ({"opset": "18"}, r"^opset is '18'; it must be an integer$"),
        ({"wieghts": "live"}, r"^export takes no argument 'wieghts'; did you mean 'weights'\?$"),
        ({"format": "cpp", "opset": 20}, "^opset is given, but format cpp does not have this option; leave it out$"),
        (
            {"format": "torchscript", "extern_c": False},
            "^extern_c is given, but format torchscript does not have this option;",
        ),
        ({"format": "cpp", "extern_c": 1}, "^extern_c is 1; it must be True or False$"),
        ({"format": "cpp", "struct": "class"}, "^struct is 'class'; class is reserved in C"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    source: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        nalu_export.export(source, source.with_name("out"), **options)  # type: ignore[arg-type]
    assert [path.name for path in source.parent.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused_by_name(value: float) -> None:
    model = NAC(2, 1)
    with torch.no_grad():
        model.get_parameter("layers.0.M_hat")[0, 1] = value
    with pytest.raises(InputError, match=r"layers\.0\.M_hat has 1 values that are NaN or infinite"):
        prepared(model, SourceOptions())


_LOOP = """
import sys, nalu_export
while True:
    nalu_export.export("model.pt", "out.onnx", weights=sys.argv[1])
    print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_an_export_leaves_a_whole_file_or_none(source: Path) -> None:
    """Two loops export different files to one path and are killed at random moments of their exports."""
    whole = {nalu_export.export(source, source.parent / "a", weights=weights).data for weights in WEIGHTS}
    (source.parent / "a").unlink()
    before = _sha(source)
    for round_ in range(3):
        loops = [
            subprocess.Popen([sys.executable, "-c", _LOOP, weights], cwd=source.parent, stdout=subprocess.PIPE)
            for weights in ("folded", "live")
        ]
        for loop in loops:
            assert loop.stdout is not None
            loop.stdout.readline()
        time.sleep(0.037 * (round_ + 1))
        for loop in loops:
            os.kill(loop.pid, signal.SIGKILL)
            loop.communicate()
        assert (source.parent / "out.onnx").read_bytes() in whole
        left = {path for path in source.parent.iterdir() if path.name not in ("model.pt", "out.onnx")}
        assert all(path.read_bytes() in whole for path in left)
        assert _sha(source) == before


def test_export_and_check_agree(source: Path, nalu: NALU) -> None:
    target = source.with_name("model.onnx")
    artifact = nalu_export.export(source, target)
    report = nalu_export.check(source, target)
    assert report.passed
    assert [row.max_e for row in report.rows] == [
        row.max_e for row in artifact.report.rows if row.runtime == "onnxruntime-cpu"
    ]
    assert nalu_export.check(nalu, artifact, ["torch", "onnxruntime-cpu"]).passed


def test_a_single_cell_and_a_wide_one(tmp_path: Path) -> None:
    for cell in (NALUCell(1, 1), NALUCell(256, 8)):
        assert nalu_export.export(cell, tmp_path / "a.onnx").report.passed


def test_a_runtime_of_another_format_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^runtime torchscript runs torchscript, .* is onnx$"):
        nalu_export.export(tmp_path / "is not there.pt", tmp_path / "a.onnx", runtimes="torchscript")
