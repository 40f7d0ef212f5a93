"""Parity on a CUDA device. Skipped, with the reason, wherever ONNX Runtime's CUDA provider does not really run."""

import itertools

import pytest
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell, runtimes
from nalu_export import formats as all_formats
from nalu_export.errors import RuntimeUnavailableError
from nalu_export.formats.base import EmitOptions
from nalu_export.inputs import sweep
from nalu_export.parity import CheckOptions, check_bytes
from nalu_export.runtimes.base import RunOptions
from nalu_export.weights import COMPUTE, WEIGHTS, Compute, Weights

pytestmark = pytest.mark.cuda
CUDA = "onnxruntime-cuda"


@pytest.fixture(scope="module", autouse=True)
def _needs_cuda() -> None:
    model = NAC(1, 1)
    data = all_formats.get("onnx").emit(model, EmitOptions((1,))).to_bytes({})
    try:
        runtimes.get(CUDA).load(model, data, RunOptions())
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
@pytest.mark.parametrize("model", [NAC(4, 3, 2), NALU(4, 5, 2), NALU(4, 5, 2, tied=False, gate="row"), NALUCell(4, 8)])
def test_every_layer_and_mode(model: nn.Module, weights: Weights, compute: Compute) -> None:
    data = all_formats.get("onnx").emit(model, EmitOptions((4,), weights, compute)).to_bytes({})
    report = check_bytes(model, data, [(4,)], compute, [CUDA], CheckOptions())
    assert report.passed, report.summary()
    assert "CUDAExecutionProvider" in report.where[CUDA]


def test_images_of_every_size(image_model: BackboneHead) -> None:
    data = all_formats.get("onnx").emit(image_model, EmitOptions((1, 16, 16))).to_bytes({})
    shapes = sweep(image_model, (1, 16, 16))
    report = check_bytes(image_model, data, shapes, "float32", [CUDA], CheckOptions())
    assert report.passed, report.summary()


def test_tf32_is_caught() -> None:
    model = NALU(64, 64, 8)
    data = all_formats.get("onnx").emit(model, EmitOptions((64,))).to_bytes({})
    assert check_bytes(model, data, [(64,)], "float32", [CUDA], CheckOptions()).passed
    assert not check_bytes(model, data, [(64,)], "float32", [CUDA], CheckOptions(tf32=True)).passed
