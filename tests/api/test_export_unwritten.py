"""nalu_export.api.export: every way in which it must not write."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import nalu_export
from nalu_export import NAC, InputError, ParityError
from nalu_export.formats import FormatName
from nalu_export.graph.folding import WEIGHTS
from nalu_export.source.preparing import SourceOptions, prepared
from tests.api.sources import emit_something_else, sha
from tests.exported import exported


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


def test_a_failed_check_leaves_no_file_and_no_trace(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emit_something_else(monkeypatch)
    with pytest.raises(ParityError, match=r"model\.onnx: not written, the check failed: onnxruntime-cpu on") as error:
        exported(source)
    assert error.value.exit_code == 1
    assert error.value.report is not None
    assert [path.name for path in source.parent.iterdir()] == ["model.pt"]


def test_a_failed_check_leaves_the_old_file(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = exported(source)
    before = target.read_bytes()
    emit_something_else(monkeypatch)
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
    before = sha(source)
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
        assert sha(source) == before


def test_a_runtime_of_another_format_is_refused_before_the_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^runtime torchscript runs torchscript, .* is onnx$"):
        nalu_export.export(tmp_path / "is not there.pt", tmp_path / "a.onnx", runtimes="torchscript")
