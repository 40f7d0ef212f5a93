"""nalu_export.formats.onnx.format: one self-contained file of standard operators that computes the model."""

import itertools
import logging
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, InputError, NACCell, NALUCell, build_head, export
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.onnx.format import FORMAT
from nalu_export.formats.onnx.options import OPSETS, OnnxOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from tests.captured import graph_of

Array = NDArray[np.float32]
DEFAULT = EmitOptions()


def _emit(graph: ModelGraph, options: EmitOptions = DEFAULT, own: OnnxOptions | None = None) -> bytes:
    return FORMAT.emit(graph, options, own).to_bytes({"nalu_export.tool": "test"})


def _proto(graph: ModelGraph) -> onnx.ModelProto:
    proto = FORMAT.opened(_emit(graph))
    assert proto is not None
    return proto


def _run(data: bytes, x: Array) -> Array:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"input": x})
    assert isinstance(result, np.ndarray)
    return result


def _torch(model: nn.Module, x: Array) -> Array:
    with torch.no_grad():
        found: Array = model.double()(torch.from_numpy(x).double()).float().numpy()
    model.float()
    return found


@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
@pytest.mark.parametrize("model", [NAC(3, 4, 2), NALU(3, 4, 2), NALU(3, 4, 2, tied=False, gate="row"), NACCell(3, 2)])
def test_every_mode_computes_the_model_for_every_batch(model: nn.Module, weights: Weights, compute: Compute) -> None:
    data = _emit(graph_of(model, (3,)), EmitOptions(weights, compute))
    for batch in (0, 1, 2, 17):
        x = np.random.default_rng(batch).uniform(-5, 5, (batch, 3)).astype(np.float32)
        np.testing.assert_allclose(_run(data, x), _torch(model, x), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("compute", COMPUTE)
def test_the_asked_opset_is_the_emitted_opset(nalu: NALU, opset: int, compute: Compute) -> None:
    data = _emit(graph_of(nalu), EmitOptions("live", compute), OnnxOptions(opset))
    proto = onnx.load_from_string(data)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    x = np.random.default_rng(0).uniform(0, 5, (3, 4)).astype(np.float32)
    np.testing.assert_allclose(_run(data, x), _torch(nalu, x), rtol=1e-5)


@pytest.mark.parametrize("opset", [16, 25, 0, -1])
def test_another_opset_is_refused(nalu: NALU, opset: int) -> None:
    with pytest.raises(InputError, match=f"opset is {opset}; allowed: 17 to 24"):
        FORMAT.emit(graph_of(nalu), EmitOptions(), OnnxOptions(opset))


def test_names_shapes_and_free_batch(nalu: NALU) -> None:
    draft = FORMAT.emit(graph_of(nalu), EmitOptions())
    assert [(spec.name, spec.dtype, spec.shape) for spec in (*draft.inputs, *draft.outputs)] == [
        ("input", "float32", ("batch", 4)),
        ("output", "float32", ("batch", 2)),
    ]


@pytest.mark.parametrize("size", [1, 64, 130])
def test_a_folded_file_has_no_raw_parameter_at_any_size(size: int) -> None:
    names = FORMAT.read_weights(_proto(graph_of(NALU(size, size, 1))), trust=False)
    assert names["layers.0.W"].shape == (size, size)
    assert not [name for name in names if "hat" in name]


def test_folded_weights_are_rounded_once() -> None:
    cell = NALUCell(3, 2)
    held = FORMAT.read_weights(_proto(graph_of(cell)), trust=False)["W"]
    exact = torch.tanh(cell.W_hat.double()) * torch.sigmoid(cell.M_hat.double())
    np.testing.assert_array_equal(held, exact.float().detach().numpy())


def test_editing_a_live_file_is_editing_the_model(nalu: NALU) -> None:
    data = _emit(graph_of(nalu), EmitOptions("live"))
    x = np.random.default_rng(0).uniform(-3, 3, (5, 4)).astype(np.float32)
    before = _run(data, x)
    for name, parameter in nalu.named_parameters():
        proto = onnx.load_from_string(data)
        (tensor,) = [tensor for tensor in proto.graph.initializer if tensor.name == name]
        edited = onnx.numpy_helper.to_array(tensor) + np.float32(0.75)
        tensor.CopyFrom(onnx.numpy_helper.from_array(edited, name))
        with torch.no_grad():
            original = parameter.clone()
            parameter.add_(0.75)
            after = _run(proto.SerializeToString(), x)
            assert not np.array_equal(after, before), name
            np.testing.assert_allclose(after, _torch(nalu, x), rtol=2e-5, atol=1e-5)
            parameter.copy_(original)


def test_live_gates_keep_weights_that_a_sigmoid_kernel_would_lose() -> None:
    # ONNX Runtime's Sigmoid gives 0 for −18, and 0.0 for this product where PyTorch gives 15.15.
    cell = NACCell(1, 1)
    with torch.no_grad():
        cell.W_hat.fill_(20.0)
        cell.M_hat.fill_(-18.0)
    x = np.array([[1e9]], np.float32)
    np.testing.assert_allclose(_run(_emit(graph_of(cell), EmitOptions("live")), x), _torch(cell, x), rtol=1e-6)


@pytest.mark.parametrize("eps", [1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-5, 1e-2])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_eps_survives_at_exact_zeros(eps: float, weights: Weights) -> None:
    cell = NALUCell(3, 2, eps=eps)
    with torch.no_grad():
        cell.G.fill_(-1.0)
    x = np.array([[0, 0, 0], [0, 2, 0], [1, 0, -3]], np.float32)
    result = _run(_emit(graph_of(cell), EmitOptions(weights)), x)
    assert np.isfinite(result).all()
    np.testing.assert_allclose(result, _torch(cell, x), rtol=2e-5)


@pytest.mark.slow
def test_only_standard_operators_and_no_trace_of_the_machine(image_model: BackboneHead) -> None:
    data = _emit(graph_of(image_model, (1, 8, 8)))
    proto = onnx.load_from_string(data)
    assert {node.domain for node in proto.graph.node} == {""}
    assert not re.search(rb"/(work|home|root|usr|tmp)/|site-packages|\.py\b|line \d", data)
    assert not any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in proto.graph.initializer)
    assert "Sigmoid" not in {node.op_type for node in proto.graph.node}


def test_a_backbone_keeps_batch_and_image_size_free(image_model: BackboneHead) -> None:
    draft = FORMAT.emit(graph_of(image_model, (1, 8, 10)), EmitOptions())
    assert draft.inputs[0].shape == ("batch", 1, "height", "width")
    assert draft.outputs[0].shape == ("batch", 3)
    data = draft.to_bytes({})
    for shape in [(1, 1, 8, 10), (3, 1, 9, 7), (2, 1, 24, 8)]:
        x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
        np.testing.assert_allclose(_run(data, x), _torch(image_model, x), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_backbone_with_a_fixed_image_size(image_model: BackboneHead) -> None:
    draft = FORMAT.emit(graph_of(image_model, (1, 8, 10)).with_fixed(["height", "width"]), EmitOptions())
    assert draft.inputs[0].shape == ("batch", 1, 8, 10)
    draft = FORMAT.emit(graph_of(image_model, (1, 8, 10)).with_fixed(["height"]), EmitOptions())
    assert draft.inputs[0].shape == ("batch", 1, 8, "width")


@pytest.mark.quick(1)
@pytest.mark.parametrize("pool", [None, "avg"])
def test_a_head_computes_no_shape(pool: str | None, tmp_path: Path) -> None:
    """ONNX Runtime would do that on the CPU, whatever runs the rest."""
    size = (30, 30) if pool is None else None
    model = build_head(nn.Conv2d(3, 4, 3), 4, [4], "regression", 1, pool=pool, feature_size=size)
    export(model, tmp_path / "model.onnx", check=False)
    proto = onnx.load(tmp_path / "model.onnx")
    assert "Conv" in {node.op_type for node in proto.graph.node}
    assert {"Shape", "Size"} & {node.op_type for node in proto.graph.node} == set()


def test_a_layer_that_is_called_twice_is_held_once_and_computed_twice() -> None:
    shared = NALU(3, 3)
    model = nn.Sequential(nn.BatchNorm1d(3), shared, nn.BatchNorm1d(3), shared).eval()
    data = _emit(graph_of(model, (3,)))
    names = [tensor.name for tensor in onnx.load_from_string(data).graph.initializer]
    assert names.count("1.layers.0.W") == 1
    assert len(names) == len(set(names))
    x = np.random.default_rng(0).uniform(0.5, 2, (4, 3)).astype(np.float32)
    np.testing.assert_allclose(_run(data, x), _torch(model, x), rtol=1e-4)


def test_two_parts_keep_their_weights_apart() -> None:
    model = nn.Sequential(NALU(3, 3), nn.BatchNorm1d(3), NAC(3, 2)).eval()
    data = _emit(graph_of(model, (3,)))
    names = {tensor.name for tensor in onnx.load_from_string(data).graph.initializer}
    assert {"0.layers.0.W", "0.layers.0.G", "2.layers.0.W"} <= names
    x = np.random.default_rng(0).uniform(0.5, 2, (4, 3)).astype(np.float32)
    np.testing.assert_allclose(_run(data, x), _torch(model, x), rtol=1e-4, atol=1e-6)


def test_a_part_behind_a_sequence_axis_uses_matmul() -> None:
    model = nn.Sequential(nn.Conv1d(2, 5, 1), NALU(7, 2))
    data = FORMAT.emit(graph_of(model, (2, 7)), EmitOptions()).to_bytes({})
    x = np.random.default_rng(0).uniform(0.5, 2, (4, 2, 7)).astype(np.float32)
    np.testing.assert_allclose(_run(data, x), _torch(model, x), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes(image_model: BackboneHead, nalu: NALU) -> None:
    for model, shape in ((nalu, (4,)), (image_model, (1, 8, 8))):
        assert _emit(graph_of(model, shape)) == _emit(graph_of(model, shape))


def test_metadata_comes_back_and_foreign_files_are_told_apart(nalu: NALU) -> None:
    data = FORMAT.emit(graph_of(nalu), EmitOptions()).to_bytes({"b": "2", "a": "1"})
    assert FORMAT.read_metadata(onnx.load_from_string(data)) == {"a": "1", "b": "2"}
    for other in (b"", b"PK\x03\x04", b"\x08", b"\x08\x07garbage", data[:100]):
        assert FORMAT.opened(other) is None


def test_external_data_is_not_followed(nalu: NALU) -> None:
    proto = onnx.load_from_string(_emit(graph_of(nalu)))
    tensor = proto.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    with pytest.raises(InputError, match=r"keeps .* in another file"):
        FORMAT.read_weights(proto, trust=False)


def test_what_torch_cannot_export_is_one_line() -> None:
    class Bessel(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = torch.special.bessel_j0(x)
            return y

    model = nn.Sequential(Bessel(), NALU(3, 1))
    with pytest.raises(InputError, match=r"^torch\.onnx cannot export the layers around the arithmetic: .+") as error:
        FORMAT.emit(graph_of(model), EmitOptions())
    assert "\n" not in str(error.value)


def test_what_does_not_fit_into_one_file_is_refused(nalu: NALU, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = FORMAT.emit(graph_of(nalu), EmitOptions())
    monkeypatch.setattr("nalu_export.formats.onnx.format.LARGEST_FILE", 100)
    with pytest.raises(InputError, match="2 GiB of weights or more, which one ONNX file cannot hold"):
        draft.to_bytes({})


@pytest.mark.quick(1)
@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_is_honoured_around_a_backbone_and_in_silence(
    image_model: BackboneHead, opset: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    proto = onnx.load_from_string(_emit(graph_of(image_model, (1, 8, 8)), DEFAULT, OnnxOptions(opset)))
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
