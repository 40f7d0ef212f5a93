"""Every operator that is written into a file has a kernel on the CPU and on CUDA, in every type and opset."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxruntime.capi import onnxruntime_pybind11_state as bindings

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.options import OPSETS
from tests import cuda_stand_ins
from tests.formats.emitted import arithmetic, with_surroundings
from tests.formats.onnx.test_primitives import _model
from tests.formats.onnx_kernels import NAMES, OTHERS, OURS, Types, kernel, lacking, rows

VERSION = "1.31.1"
PROVIDERS = ("cpu", "cuda")
# torch.onnx computes a free size in them, which ONNX Runtime does on the CPU by itself (fallback_cpu_capability.cc).
SIZES = ("interface lengths", "loop", "loop with a rest")
KINDS = {name: kind for kind, name in NAMES.items()}
ATTRIBUTES: dict[str, Any] = {"axis": 0, "kernel_shape": [1, 1]}
# Operators that say nothing of a kernel without values.
VALUES = ("ConstantOfShape", "Resize")
WORDS = {
    f"tensor({word})": name for word, name in zip(("float", "double", "int32", "int64", "bool"), KINDS, strict=True)
}
needs_the_wheel = pytest.mark.skipif(bool(cuda_stand_ins.unavailable()), reason=cuda_stand_ins.unavailable())


@pytest.mark.slow
@pytest.mark.parametrize("provider", PROVIDERS)
def test_everything_that_is_written_has_a_kernel(provider: str) -> None:
    files = arithmetic() | with_surroundings()
    missing = {entry: name for name, proto in files.items() for entry in lacking(proto, provider)}
    assert not missing, f"tests/formats/onnx_kernels.py knows of no {provider} kernel: {missing}"


@pytest.mark.slow
def test_the_table_says_what_is_ours() -> None:
    written = {node.op_type for proto in arithmetic().values() for node in proto.graph.node}
    written |= {node.op_type for node in with_surroundings()["loop"].graph.node if node.op_type == "Scan"}
    written |= {"Identity"}  # where a value has two names: formats/onnx/edges.py
    assert written == {name for name, *_ in rows("cpu", OURS)}
    assert not written & {name for name, *_ in rows("cpu", OTHERS)}


def _planted(build: Builder, x: Value) -> Value:
    return build.op("Sinh", x)


def test_an_operator_without_a_kernel_is_found() -> None:
    for dtype, missing in ((np.float32, {"cuda"}), (np.float64, {"cpu", "cuda"})):
        proto, _ = _model(_planted, [np.ones(2, dtype)], 20)
        assert {provider for provider in PROVIDERS if lacking(proto, provider)} == missing
    assert lacking(proto, "cuda") == {"Sinh of f64 at opset 20"}


def test_a_type_without_a_kernel_is_found() -> None:
    proto, _ = _model(lambda build, x: build.op("ReduceProd", x, rank=0, keepdims=0), [np.ones(2, np.int64)], 17)
    assert (lacking(proto, "cpu"), lacking(proto, "cuda")) == (set(), {"ReduceProd of i64 at opset 17"})


# Against the wheels --------------------------------------------------------------------------------------------------


# In onnxruntime-gpu the call ends the process where TensorRT is not installed.
@pytest.mark.skipif(
    onnxruntime.__version__ != VERSION or "TensorrtExecutionProvider" in onnxruntime.get_available_providers(),
    reason=f"needs onnxruntime {VERSION} without a GPU",
)
def test_the_rows_of_the_cpu_are_what_onnxruntime_registers() -> None:
    registered: dict[str, list[tuple[int, int, Types]]] = {}
    for found in bindings.get_all_opkernel_def():
        if found.provider == "CPUExecutionProvider" and not found.domain:
            kinds = {key: _five(types) for key, types in found.type_constraints.items()}
            registered.setdefault(found.op_name, []).append((*found.version_range, kinds))
    for name, opsets, types in rows("cpu"):
        for opset in opsets:
            assert (name, opset, types) == (name, opset, _taken(registered.get(name, []), name, opset))


def _five(types: Iterable[str]) -> set[str]:
    return {WORDS[each] for each in types if each in WORDS}


def _taken(kernels: list[tuple[int, int, Types]], name: str, opset: int) -> Types | None:
    """What the kernels take together that count at an opset; see onnx_kernels.py."""
    since = onnx.defs.get_schema(name, opset).since_version
    open_end = np.iinfo(np.int32).max
    counted = [
        types for first, last, types in kernels if first == since or (last < open_end and first <= since <= last)
    ]
    found: Types = {}
    for types in counted:
        for key, kinds in types.items():
            if kinds and key != "shape":
                found.setdefault(key, set()).update(kinds)
    return found if counted else None


@pytest.mark.slow
@needs_the_wheel
def test_every_file_runs_on_cuda_alone() -> None:
    files = arithmetic() | {name: proto for name, proto in with_surroundings().items() if name not in SIZES}
    numbered = {f"{place:05}": (name, proto.SerializeToString()) for place, (name, proto) in enumerate(files.items())}
    said = cuda_stand_ins.refusals({key: data for key, (_, data) in numbered.items()})
    assert not {numbered[key][0]: reason for key, reason in said.items() if reason}


@pytest.mark.slow
@needs_the_wheel
def test_the_rows_of_cuda_are_what_the_wheel_has() -> None:
    """Of operators whose inputs are all of one type: each in each of the five types."""
    probes = dict(_probes())
    said = cuda_stand_ins.refusals({name: data for name, (data, _) in probes.items()})
    wrong = {name: said[name] for name, (_, wanted) in probes.items() if wanted == bool(said[name])}
    assert len(probes) > 500
    assert not wrong


def _probes() -> Iterator[tuple[str, tuple[bytes, bool]]]:
    """Files of one node, and whether the table says that it has a kernel."""
    for name, opsets, _ in rows("cuda"):
        for opset in {opsets.start, 20, opsets.stop - 1} & set(opsets):
            schema = onnx.defs.get_schema(name, opset)
            if not _is_plain(schema):
                continue
            constraint, types = schema.inputs[0].type_str, kernel("cuda", name, opset)
            for kind in _allowed(schema, constraint):
                known = types is not None and kind in types.get(constraint, {kind})
                if known or not _is_function(schema):
                    yield f"{name}-{opset}-{kind}", (_probe(schema, kind, opset), known)


def _is_plain(schema: onnx.defs.OpSchema) -> bool:
    inputs = schema.inputs[: max(schema.min_input, 1)]
    one_type = len({each.type_str for each in inputs}) == 1
    return one_type and schema.min_output == 1 and _needed(schema) <= ATTRIBUTES.keys() and schema.name not in VALUES


def _is_function(schema: onnx.defs.OpSchema) -> bool:
    """ONNX Runtime writes out what it has no kernel of where the schema says how."""
    return any(getattr(schema, name) for name in ("has_function", "has_context_dependent_function"))


def _needed(schema: onnx.defs.OpSchema) -> set[str]:
    return {name for name, attribute in schema.attributes.items() if attribute.required}


def _allowed(schema: onnx.defs.OpSchema, constraint: str) -> set[str]:
    found = (each.allowed_type_strs for each in schema.type_constraints if each.type_param_str == constraint)
    return _five(next(found, [constraint]))


def _probe(schema: onnx.defs.OpSchema, kind: str, opset: int) -> bytes:
    given = [f"x{place}" for place in range(max(schema.min_input, 1))]
    made = schema.outputs[0].type_str
    # Comparisons give truth values, Shape and Size integers, whatever they are given.
    result = kind if made == schema.inputs[0].type_str else _allowed(schema, made).pop()
    attributes = {name: ATTRIBUTES[name] for name in _needed(schema)}
    node = helper.make_node(schema.name, given, ["y"], **attributes)
    inputs = [helper.make_tensor_value_info(name, KINDS[kind], None) for name in given]
    output = helper.make_tensor_value_info("y", KINDS[result], None)
    graph = helper.make_graph([node], "probe", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@needs_the_wheel
def test_the_wheel_is_of_the_same_version() -> None:
    site = Path(os.environ[cuda_stand_ins.VARIABLE])
    assert [path.name for path in site.glob("onnxruntime_gpu-*.dist-info")] == [f"onnxruntime_gpu-{VERSION}.dist-info"]


@needs_the_wheel
def test_the_wheel_refuses_what_it_has_no_kernel_of() -> None:
    files = {dtype.__name__: _model(_planted, [np.ones(2, dtype)], 20)[0] for dtype in (np.float32, np.float64)}
    said = cuda_stand_ins.refusals({name: proto.SerializeToString() for name, proto in files.items()})
    assert "fallback to CPU EP has been explicitly disabled" in said["float32"]
    assert "Sinh" in said["float64"]


def test_without_the_wheel_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cuda_stand_ins.VARIABLE, raising=False)
    assert (
        cuda_stand_ins.unavailable()
        == "NALU_ORT_GPU is not set: it names a folder that holds the wheel onnxruntime-gpu"
    )
    monkeypatch.setenv(cuda_stand_ins.VARIABLE, str(tmp_path))
    assert cuda_stand_ins.unavailable() == f"NALU_ORT_GPU={tmp_path}: no libonnxruntime_providers_cuda.so there"


def test_all_opsets_are_in_the_table() -> None:
    found: dict[str, set[int]] = {}
    for name, opsets, _ in rows("cuda", OURS):
        found.setdefault(name, set()).update(opsets)
    assert {name for name, opsets in found.items() if opsets != set(OPSETS)} == set()
