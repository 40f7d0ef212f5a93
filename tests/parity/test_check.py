"""nalu_export.parity.check: right files pass, and each planted fault is found."""

import onnx
import pytest
import torch
from torch import nn

from benchmarks.faults import epsilon, outputs
from nalu_export import NAC, NALU, BackboneHead, InputError, NALUCell, RuntimeUnavailableError
from nalu_export import formats as all_formats
from nalu_export.formats.base import EmitOptions
from nalu_export.parity import CheckOptions, Report, check_bytes
from tests.conftest import saturated

OPTIONS = CheckOptions(samples=128)


def _emitted(model: nn.Module, size: int = 4, **options: object) -> onnx.ModelProto:
    draft = all_formats.get("onnx").emit(model, EmitOptions((size,), **options))  # type: ignore[arg-type]
    return onnx.load_from_string(draft.to_bytes({}))


def _check(model: nn.Module, proto: onnx.ModelProto, size: int = 4, options: CheckOptions = OPTIONS) -> Report:
    data = proto.SerializeToString()
    return check_bytes(model, data, [(size,)], "float32", ["onnxruntime-cpu"], options)


@pytest.mark.parametrize("weights", ["folded", "live"])
@pytest.mark.parametrize("compute", ["float32", "float64"])
@pytest.mark.parametrize("name", ["onnx", "torchscript"])
def test_a_right_file_passes_in_every_family(nalu: NALU, name: str, weights: str, compute: str) -> None:
    kind = all_formats.get(name)
    data = kind.emit(nalu, EmitOptions((4,), weights, compute)).to_bytes({})  # type: ignore[arg-type]
    report = check_bytes(nalu, data, [(4,)], compute, [kind.runtime, "torch"], CheckOptions())  # type: ignore[arg-type]
    assert report.passed, report.summary()
    assert {row.samples for row in report.rows} == {1024}
    assert len(report.rows) == 18


@pytest.mark.parametrize("size", [2, 16, 64, 256])
def test_one_trained_cell_stays_within_five_roundoffs(size: int) -> None:
    """The project's figure: E ≤ 5 in float32 and ≤ 1 in float64, zeros included."""
    cell = saturated(NALUCell(size, 8))
    for compute, allowed in (("float32", 5.0), ("float64", 1.0)):
        data = all_formats.get("onnx").emit(cell, EmitOptions((size,), "folded", compute)).to_bytes({})  # type: ignore[arg-type]
        report = check_bytes(cell, data, [(size,)], compute, ["onnxruntime-cpu"], CheckOptions())  # type: ignore[arg-type]
        rows = {row.family: row.max_e for row in report.rows}
        for family in ("0.1..1", "1..10", "1e3..1e4", "-10..10", "zeros"):
            assert rows[family] <= allowed, (size, compute, family)


# Faults are planted in test_faults.py; here is what a single one shows.


def test_the_default_check_of_others_would_not_see_eps_deleted() -> None:
    """Why the families matter: on uniform random inputs the same fault passes."""
    report = epsilon.eps_deleted.plant().check(OPTIONS).report
    assert report is not None
    rows = {row.family: row.passed for row in report.rows}
    assert rows["0.1..1"]
    assert rows["1..10"]
    assert not rows["zeros"]


def test_a_frozen_image_size_is_found(image_model: BackboneHead) -> None:
    data = all_formats.get("onnx").emit(image_model, EmitOptions((1, 8, 8), free_size=False)).to_bytes({})
    right = check_bytes(image_model, data, [(1, 8, 8)], "float32", ["onnxruntime-cpu"], OPTIONS)
    assert right.passed
    wrong = check_bytes(image_model, data, [(1, 8, 8), (1, 9, 8)], "float32", ["onnxruntime-cpu"], OPTIONS)
    assert not wrong.passed
    assert "batch of 1: onnxruntime" in wrong.summary()


def test_an_artifact_of_other_weights_fails(nac: NAC) -> None:
    proto = _emitted(nac)
    torch.manual_seed(1)
    assert not _check(NAC(4, 3, 2), proto).passed


def test_tolerances_decide_instead_of_the_limit() -> None:
    scaled = outputs.output_scaled.plant()
    assert not scaled.check(OPTIONS).passed
    loose = scaled.check(CheckOptions(samples=16, rtol=1e-3, atol=1e-3)).report
    assert loose is not None
    families = {row.family: row.passed for row in loose.rows}
    assert families["0.1..1"]
    assert not scaled.check(CheckOptions(samples=16, rtol=1e-6)).passed


def test_a_seed_gives_the_same_report(nalu: NALU) -> None:
    proto = _emitted(nalu)
    assert _check(nalu, proto).to_dict() == _check(nalu, proto).to_dict()


def test_cuda_that_is_not_there_is_never_a_pass(nalu: NALU) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed; test_onnxruntime_cuda.py covers it")
    data = _emitted(nalu).SerializeToString()
    with pytest.raises(RuntimeUnavailableError, match=r"no CUDAExecutionProvider; pip uninstall onnxruntime") as error:
        check_bytes(nalu, data, [(4,)], "float32", ["onnxruntime-cuda"], OPTIONS)
    assert error.value.exit_code == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is 0; it must be from 1 to 1000000"),
        ({"samples": 10**7}, "samples is 10000000; it must be from 1 to 1000000"),
        ({"seed": -1}, "seed is -1; it must be from 0 to 4294967295"),
        ({"seed": 2**70}, "it must be from 0 to 4294967295"),
        ({"rtol": -1.0}, r"rtol is -1.0; it must be a number of at least 0"),
        ({"atol": float("nan")}, "atol is nan"),
        ({"rtol": float("inf")}, "rtol is inf"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CheckOptions(**options)  # type: ignore[arg-type]


def test_an_unknown_runtime_is_refused_with_the_list(nalu: NALU) -> None:
    with pytest.raises(InputError, match="runtime is 'abacus'; allowed: onnxruntime-cpu, onnxruntime-cuda, torch"):
        check_bytes(nalu, b"", [(4,)], "float32", ["abacus"], OPTIONS)
