"""nalu_export.parity.check: right files pass, and each planted fault is found."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, InputError, NALUCell, RuntimeUnavailableError
from nalu_export import formats as all_formats
from nalu_export.formats.base import EmitOptions
from nalu_export.parity import CheckOptions, Report, check_bytes
from tests.conftest import saturated

Array = np.ndarray[Any, np.dtype[Any]]
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


# --- faults -----------------------------------------------------------------------------------------------------


def _initializer(proto: onnx.ModelProto, name: str) -> onnx.TensorProto:
    found: onnx.TensorProto = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    return found


def _edit(proto: onnx.ModelProto, name: str, change: Callable[[Array], Array]) -> None:
    tensor = _initializer(proto, name)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)).astype(np.float32), name))


def _eps_deleted(proto: onnx.ModelProto) -> None:
    _edit(proto, "1e-10:float32", lambda value: value * 0)


def _eps_changed(proto: onnx.ModelProto) -> None:
    _edit(proto, "1e-10:float32", lambda value: value * 2)


def _weight_off_by_a_thousandth(proto: onnx.ModelProto) -> None:
    def change(value: Array) -> Array:
        changed = value.copy()
        changed.flat[np.abs(changed).argmax()] *= 1.001
        return changed

    _edit(proto, "layers.0.W", change)


def _gate_negated(proto: onnx.ModelProto) -> None:
    _edit(proto, "layers.0.G", lambda value: -value)


def _weights_permuted(proto: onnx.ModelProto) -> None:
    _edit(proto, "layers.0.W", lambda value: value[::-1].copy())


def _weights_to_float16(proto: onnx.ModelProto) -> None:
    _edit(proto, "layers.0.W", lambda value: value.astype(np.float16))


def _abs_dropped(proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        if node.op_type == "Abs":
            node.op_type = "Identity"


def _output_scaled(proto: onnx.ModelProto) -> None:
    _append(proto, "Mul", numpy_helper.from_array(np.array(1.00001, np.float32), "fault"))


def _output_offset(proto: onnx.ModelProto) -> None:
    _append(proto, "Add", numpy_helper.from_array(np.array(1e-6, np.float32), "fault"))


def _nan_lane(proto: onnx.ModelProto) -> None:
    _append(proto, "Add", numpy_helper.from_array(np.array([0, np.nan], np.float32), "fault"))


def _append(proto: onnx.ModelProto, op_type: str, operand: onnx.TensorProto) -> None:
    last = proto.graph.node[-1]
    last.output[0] = "before"
    proto.graph.initializer.append(operand)
    proto.graph.node.append(helper.make_node(op_type, ["before", operand.name], ["output"]))


def _sigmoid_kernel(proto: onnx.ModelProto) -> None:
    """1 + exp(−z) under a quotient becomes the runtime's Sigmoid and a product."""
    graph = proto.graph
    producers = {output: node for node in graph.node for output in node.output}
    for node in [node for node in graph.node if node.op_type == "Div"]:
        exp = producers[producers[node.input[1]].input[0]]
        z = exp.input[0]
        name = f"{node.output[0]}_gate"
        index = list(graph.node).index(node)
        negated = helper.make_node("Neg", [z], [f"{name}_z"])
        gate = helper.make_node("Sigmoid", [f"{name}_z"], [name])
        node.op_type = "Mul"
        node.input[1] = name
        graph.node.insert(index, gate)
        graph.node.insert(index, negated)


def _batch_frozen(proto: onnx.ModelProto) -> None:
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 2


def _output_dropped(proto: onnx.ModelProto) -> None:
    last = proto.graph.node[-1]
    last.output[0] = "before"
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0]), "first"))
    proto.graph.node.append(helper.make_node("Gather", ["before", "first"], ["output"], axis=1))
    del proto.graph.output[0].type.tensor_type.shape.dim[:]


FAULTS = [
    _eps_deleted, _eps_changed, _weight_off_by_a_thousandth, _gate_negated, _weights_permuted, _weights_to_float16,
    _abs_dropped, _output_scaled, _output_offset, _nan_lane, _sigmoid_kernel, _batch_frozen, _output_dropped,
]  # fmt: skip


@pytest.fixture
def cell() -> nn.Module:
    """One cell with gates on both sides and weights of both signs."""
    stack = NALU(4, 2)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.mul_(3.0)
    return stack


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_"))
def test_a_planted_fault_is_found(cell: nn.Module, fault: Callable[[onnx.ModelProto], None]) -> None:
    proto = _emitted(cell)
    assert _check(cell, proto).passed
    fault(proto)
    report = _check(cell, proto)
    assert not report.passed
    assert report.summary()


def test_the_default_check_of_others_would_not_see_eps_deleted(cell: nn.Module) -> None:
    """Why the families matter: on uniform random inputs the same fault passes."""
    proto = _emitted(cell)
    _eps_deleted(proto)
    rows = {row.family: row.passed for row in _check(cell, proto).rows}
    assert rows["0.1..1"]
    assert rows["1..10"]
    assert not rows["zeros"]


def test_swapped_layers_of_equal_shape_are_found() -> None:
    stack = NALU(3, 3, 3)
    proto = _emitted(stack, 3)
    first, second = _initializer(proto, "layers.0.W"), _initializer(proto, "layers.1.W")
    first.name, second.name = second.name, first.name
    assert not _check(stack, proto, 3).passed


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


def test_tolerances_decide_instead_of_the_limit(cell: nn.Module) -> None:
    proto = _emitted(cell)
    _output_scaled(proto)
    assert not _check(cell, proto).passed
    loose = _check(cell, proto, options=CheckOptions(samples=16, rtol=1e-3, atol=1e-3))
    families = {row.family: row.passed for row in loose.rows}
    assert families["0.1..1"]
    tight = _check(cell, proto, options=CheckOptions(samples=16, rtol=1e-6))
    assert not tight.passed


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
