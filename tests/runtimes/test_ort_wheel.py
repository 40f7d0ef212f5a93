"""The CUDA runtimes on the provider of the real wheel, which plans without a device: what they accept and refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from nalu_export import NALU, formats
from nalu_export.formats.base import EmitOptions
from tests import cuda_stand_ins
from tests.captured import graph_of
from tests.formats.emitted import with_surroundings

pytestmark = pytest.mark.skipif(bool(cuda_stand_ins.unavailable()), reason=cuda_stand_ins.unavailable())

NAMES = ("onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph")
_SCRIPT = """
import json, pathlib, sys
import numpy
from nalu_export import NAC, runtimes
from nalu_export.runtimes.base import RunOptions
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    for name in json.loads(sys.argv[2]):
        try:
            session = runtimes.get(name).load(NAC(1, 1), path.read_bytes(), RunOptions(**json.loads(sys.argv[3])))
            if path.stem == "run":
                session.run([numpy.ones((1, 3, 4, 4), "float32")])
            said = [0, session.where]
        except Exception as error:
            said = [getattr(error, "exit_code", 70), str(error)]
        print(json.dumps([path.stem, name, *said]), flush=True)
"""
Said = dict[tuple[str, str], tuple[int, str]]
Ask = Callable[..., Said]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """What becomes of files in runtimes: an exit code, and where they run or why not. Nothing else is printed."""

    def asked(files: dict[str, bytes], names: tuple[str, ...] = NAMES, **options: Any) -> Said:
        for name, data in files.items():
            (tmp_path / f"{name}.onnx").write_bytes(data)
        done = cuda_stand_ins.run(["-c", _SCRIPT, str(tmp_path), json.dumps(names), json.dumps(options)])
        assert done.stderr == ""
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(rows) == len(files) * len(names)
        return {(stem, name): (code, text) for stem, name, code, text in rows}

    return asked


def _head(**options: Any) -> bytes:
    return formats.get("onnx").emit(graph_of(NALU(4, 5, 2)), EmitOptions(**options)).to_bytes({})


def test_heads_load(ask: Ask) -> None:
    for (_, name), (code, text) in ask({"head": _head(), "double": _head(compute="float64")}).items():
        assert code == 0, text
        assert "CUDAExecutionProvider" in text
        assert "TF32 off" in text
        assert "on the CPU" not in text, name


@pytest.mark.parametrize("fold", [True, False])
def test_live_weights_are_folded_unless_forbidden(fold: bool, ask: Ask) -> None:
    for code, text in ask({"live": _head(weights="live")}, fold=fold).values():
        assert code == 0, text
        assert ("constants folded on the CPU at load" in text) is fold


@pytest.mark.slow
def test_files_that_compute_sizes_load(ask: Ask) -> None:
    """torch.onnx writes Shape and what follows where a size is free; the provider leaves that to the CPU."""
    files = {name: proto.SerializeToString() for name, proto in with_surroundings().items()}
    said = ask(files, NAMES[:2])
    assert {key: text for key, (code, text) in said.items() if code} == {}
    on_cpu = {stem for (stem, _), (_, text) in said.items() if "shapes on the CPU: " in text}
    assert "loop" in on_cpu
    assert on_cpu < set(files)


def test_an_operator_without_a_kernel_is_named(ask: Ask) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"], name="d")], "g", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    for (_, name), (code, text) in ask({"det": proto.SerializeToString()}).items():
        assert code == 3
        assert text.startswith(f"{name}: ")
        assert "has no kernel: Det (float) d" in text or name == NAMES[2]


def test_a_convolution_without_cudnn(ask: Ask) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1, 4, 4])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 3, 1, 1], [1.0, 2.0, 3.0])
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], name="c")], "g", [x], [y], [weight])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    for code, text in ask({"run": proto.SerializeToString()}, NAMES[:2]).values():
        assert code == 3
        assert "cuDNN is missing, " in text
        assert "Name:'c' Status Message: cuDNN is unavailable" in text


def test_a_device_and_an_option_that_are_not_there(ask: Ask) -> None:
    for code, text in ask({"head": _head()}, device=1).values():
        assert code == 3
        assert "there is no such CUDA device" in text
    for code, text in ask({"head": _head()}, provider_options={"prefer": "1"}).values():
        assert code == 2
        assert text.endswith('Unknown provider option: "prefer".')
