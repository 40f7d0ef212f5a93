"""nalu_export.testing.assert_parity, outside a test run of its own."""

import re
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import nalu_export
from nalu_export import NALU, BackboneHead, InputError, RuntimeUnavailableError, export, runtimes, save
from nalu_export.formats import FormatName
from nalu_export.parity.check import REPLAYED
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.testing import ParityAssertionError, assert_parity
from tests.exported import exported

FEW: dict[str, Any] = {"samples": 8, "search": 0}


@pytest.fixture
def right(nalu: NALU, tmp_path: Path) -> tuple[Path, Path]:
    """``model.pt`` and its file."""
    save(nalu, tmp_path / "model.pt")
    return tmp_path / "model.pt", exported(tmp_path / "model.pt", check=False)


@pytest.fixture
def wrong(right: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    """``model.pt`` and a file of other weights."""
    export(NALU(4, 5, 2), tmp_path / "wrong.onnx", check=False)
    return right[0], tmp_path / "wrong.onnx"


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_paths(right: tuple[Path, Path]) -> None:
    report = assert_parity(*right, **FEW)
    assert report.passed
    assert [runtime.name for runtime in report.runtimes] == ["onnxruntime-cpu"]


def test_a_module_and_an_artifact(nalu: NALU, tmp_path: Path) -> None:
    artifact = export(nalu, tmp_path / "a.onnx", check=False)
    assert assert_parity(nalu, artifact, ["onnx-reference", "onnxruntime-cpu"], **FEW).passed


@pytest.mark.parametrize("format_name", ["onnx", "torchscript"])
def test_a_module_alone_is_exported_into_nothing(
    format_name: FormatName, nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert assert_parity(nalu, format=format_name, save_to=tmp_path, **FEW).subject["format"] == format_name
    assert listing(tmp_path) == []


def test_how_to_export(nalu: NALU) -> None:
    report = assert_parity(nalu, weights="live", compute="float64", opset=18, **FEW)
    assert (report.subject["weights"], report.subject["compute"]) == ("live", "float64")


@pytest.mark.slow
def test_images(image_model: BackboneHead) -> None:
    report = assert_parity(image_model, input_size=(8, 10), samples=4, search=0)
    assert report.subject["inputs"][0]["shape"] == ["batch", 1, "height", "width"]


def test_all(nalu: NALU, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tract", None)
    report = assert_parity(nalu, None, "all", **FEW)
    assert "tract is not installed" in report.missing["tract"]


def test_a_wrong_file_is_an_assertion_error(wrong: tuple[Path, Path]) -> None:
    with pytest.raises(AssertionError, match=r"^onnxruntime-cpu: does not compute what the model computes\n") as caught:
        assert_parity(*wrong, **FEW)
    assert isinstance(caught.value, ParityAssertionError)
    assert not caught.value.report.passed
    assert caught.value.__cause__ is None


def test_the_message(wrong: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_parity(*wrong, ["onnxruntime-cpu", "onnx-reference"], save_to=tmp_path, **FEW)
    lines = str(caught.value).splitlines()
    assert lines[:4] == [
        "onnxruntime-cpu, onnx-reference: does not compute what the model computes",
        f"  model {wrong[0]}, file {wrong[1]}",
        "  onnx, folded weights, float32; seed 0; allowed: the bound of a correct evaluation",
        "",
    ]
    assert re.fullmatch(r"onnxruntime-cpu: 1\d of 1\d rows failed", lines[4])
    assert re.fullmatch(r"  distribution [^:]+: the error is \S+ times its bound, E \S+", lines[5])
    assert re.fullmatch(r"  and .*intermediate values", lines[8])
    assert re.fullmatch(r"  first divergence: layers\.0\.\S+\[\d, \d\] = .* is .*, expected .* ± .*", lines[9])
    assert re.fullmatch(r"  worst input \([^)]+\): \[[^]]*\]", lines[10])
    assert re.fullmatch(r"    output\[\d\] is \S+, expected \S+ ± \S+; PyTorch gives \S+", lines[11])
    assert lines[13].startswith("onnx-reference: 1")
    assert lines[-1] == (
        f"replay: nalu-export check {wrong[0]} {wrong[1]} --runtime onnxruntime-cpu --runtime onnx-reference "
        f"--replay {tmp_path / 'wrong.worst.npz'}"
    )
    assert listing(tmp_path) == ["model.onnx", "model.pt", "wrong.onnx", "wrong.worst.npz"]


def test_nothing_is_kept_unless_asked(wrong: tuple[Path, Path], tmp_path: Path) -> None:
    before = listing(tmp_path)
    with pytest.raises(AssertionError, match=r"replay: pass save_to=FOLDER \(the fixture `parity` does\) to keep"):
        assert_parity(*wrong, **FEW)
    assert listing(tmp_path) == before


def test_an_export_that_is_wrong_can_be_run_again(nalu: NALU, tmp_path: Path) -> None:
    """The line that the message gives, run as it is."""
    with pytest.raises(AssertionError, match="allowed: at most 0 ULP from PyTorch") as caught:
        assert_parity(nalu, None, "onnxruntime-cpu", max_ulp=0, save_to=tmp_path, **FEW)
    assert listing(tmp_path) == ["NALU.onnx", "NALU.worst.npz"]
    command = str(caught.value).splitlines()[-1].removeprefix("replay: ")
    report = eval(command, {"assert_parity": assert_parity, "model": nalu})
    assert {row.distribution for row in report.rows if row.samples == REPLAYED} != set()


def test_by_steps_the_farthest_distribution_comes_first(nalu: NALU) -> None:
    with pytest.raises(ParityAssertionError) as caught:
        assert_parity(nalu, max_ulp=0, **FEW)
    steps = [int(found) for found in re.findall(r": (\d+) ULP from PyTorch", str(caught.value))]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == max(row.max_ulp_torch for row in caught.value.report.rows)


def test_a_long_input_is_shortened(tmp_path: Path, image_model: BackboneHead) -> None:
    torch.manual_seed(7)
    other = export(NALU(40, 2), tmp_path / "a.onnx", check=False)
    with pytest.raises(AssertionError, match=r"worst input \([^)]+\): \[(\S+, ){8}…\] 40 values from \S+ to \S+\n"):
        assert_parity(NALU(40, 2), other, **FEW)


def test_replay(wrong: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ParityAssertionError):
        assert_parity(*wrong, save_to=tmp_path, **FEW)
    with pytest.raises(ParityAssertionError) as caught:
        assert_parity(*wrong, replay=tmp_path / "wrong.worst.npz")
    assert {row.samples for row in caught.value.report.rows if row.distribution != INTERMEDIATE} == {REPLAYED}
    with pytest.raises(InputError, match="inputs and replay are both given; replay runs only the inputs of its file"):
        assert_parity(*wrong, replay=tmp_path / "wrong.worst.npz", inputs={"x": np.ones((1, 4), np.float32)})


@pytest.fixture
def no_tract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tract", None)


@pytest.mark.usefixtures("no_tract")
def test_a_missing_runtime_is_an_error(right: tuple[Path, Path]) -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"^tract: tract is not installed") as caught:
        assert_parity(*right, ["onnxruntime-cpu", "tract"], **FEW)
    frames = [entry.path.name if isinstance(entry.path, Path) else entry.path for entry in caught.traceback]
    assert frames == ["test_assertion.py", "keywords.py", "assertion.py"], (
        "the frames of the package only hide the text"
    )


@pytest.mark.usefixtures("no_tract")
@pytest.mark.parametrize("names", ["tract", ["tract", "onnxruntime-cpu"]], ids=str)
def test_skip_missing_never_passes(names: str | list[str], right: tuple[Path, Path]) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^not run: tract: tract is not installed") as caught:
        assert_parity(*right, names, skip_missing=True, **FEW)
    assert ("(passed: onnxruntime-cpu)" in str(caught.value)) == (names != "tract")


@pytest.mark.usefixtures("no_tract")
def test_what_is_there_fails_before_the_rest_is_skipped(wrong: tuple[Path, Path]) -> None:
    with pytest.raises(ParityAssertionError):
        assert_parity(*wrong, ["tract", "onnxruntime-cpu"], skip_missing=True, **FEW)


@pytest.mark.usefixtures("no_tract")
def test_unittest_skips_too(right: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")

    class Case(unittest.TestCase):
        def test_it(self) -> None:
            assert_parity(*right, "tract", skip_missing=True)

    result = unittest.TestResult()
    Case("test_it").run(result)
    ((_, reason),) = result.skipped
    assert reason.startswith("not run: tract: ")


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def missing(self: object, model: object, data: object, options: object) -> None:
        raise RuntimeUnavailableError("gone")

    with monkeypatch.context() as patch:
        for name in runtimes.names():
            patch.setattr(type(runtimes.get(name)), "load", missing)
        yield


@pytest.mark.usefixtures("nothing_there")
@pytest.mark.parametrize("skip", [True, False])
def test_all_with_nothing_there_is_an_error(skip: bool, right: tuple[Path, Path]) -> None:
    with pytest.raises(RuntimeUnavailableError, match="no runtime can run the file"):
        assert_parity(*right, "all", skip_missing=skip)


@pytest.mark.usefixtures("nothing_there")
def test_a_reason_without_a_name_skips_all(right: tuple[Path, Path]) -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^not run: torch: gone; onnxruntime-cpu: gone$"):
        assert_parity(*right, ["torch", "onnxruntime-cpu"], skip_missing=True)


@pytest.mark.parametrize("option", ["weights", "compute", "opset"])
def test_options_of_an_export_need_one(option: str, right: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=f"^{option} is given with an artifact; it is an option of the export"):
        assert_parity(*right, **cast("Any", {option: "float32"}))


def test_a_folder_that_is_not_there(right: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: save_to is not a folder; create it first"):
        assert_parity(*right, save_to=tmp_path / "none")


def test_an_unknown_option(right: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match=r"^assert_parity takes no argument 'sampels'; did you mean 'samples'\?$"):
        assert_parity(*right, sampels=3)  # type: ignore[call-arg]


def test_no_other_name() -> None:
    with pytest.raises(AttributeError, match=r"module 'nalu_export\.testing' has no attribute 'assert_party'"):
        _ = nalu_export.testing.assert_party  # type: ignore[attr-defined]
