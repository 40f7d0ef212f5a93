import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from nalu_export import NAC, NALU, InputError, NACCell, NALUCell, export, save
from nalu_export.api.inspect import inspect
from nalu_export.doctor import diagnose, summary
from nalu_export.doctor.statistics import layer_table, weight_statistics
from nalu_export.formats import FormatName
from nalu_export.graph.folding import Weights
from tests.captured import graph_of
from tests.checkpoints.files import evil, torchscript
from tests.exported import exported as beside
from tests.handwritten.cells import CELLS
from tests.handwritten.nets import NETS
from tests.handwritten.public import IMAGE, PUBLIC


@pytest.fixture
def model() -> NALU:
    return NALU(3, 4, 2, eps=1e-7, gate="row")


@pytest.fixture
def source(model: NALU, tmp_path: Path) -> Path:
    save(model, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def exported(source: Path, **options: Any) -> Path:
    return beside(source, check=False, **options)


def assert_close(found: Any, expected: Any) -> None:
    """The same keys, and numbers that differ by float32 roundoffs only."""
    assert json.loads(json.dumps(found)).keys() == expected.keys()
    for layer, statistics in expected.items():
        for name, values in statistics.items():
            assert found[layer][name] == pytest.approx(values, abs=1e-6), (layer, name)


def test_a_model(model: NALU, source: Path) -> None:
    found = inspect(source)
    assert found == {
        "kind": "model",
        "sha256": found["sha256"],
        "parameters": 3 * 4 * 2 + 3 + 4 * 2 * 2 + 4,
        "notes": [],
        "assumptions": [],
        "layout": None,
        "class": "NALU",
        "doctor": summary(diagnose(source)),
        "subgraphs": found["subgraphs"],
        "layers": layer_table(graph_of(model)),
        "weights": weight_statistics(graph_of(model)),
    }
    assert len(found["sha256"]) == 64


def test_a_bare_state_dict_says_what_is_assumed(model: NALU, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "model.pt")
    found = inspect(tmp_path / "model.pt")
    assert found["notes"] == ["layout nalu-export:NALU"]
    assert [each["what"] for each in found["assumptions"]] == ["formula", "eps"]
    assert found["layout"] == "nalu-export:NALU"
    assert found["layers"][0]["eps"] == 1e-10


def test_a_model_of_the_user(tmp_path: Path) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = NAC(2, 1)

    save(Own(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: does not describe its model; give model='FILE.py:NAME'"):
        inspect(tmp_path / "model.pt")
    assert [row["path"] for row in inspect(tmp_path / "model.pt", Own)["layers"]] == ["inner.layers.0"]


@pytest.mark.parametrize("mode", ["folded", "live"])
def test_an_onnx_file(mode: str, model: NALU, source: Path) -> None:
    path = exported(source, format="onnx", weights=mode)
    found = inspect(str(path))
    assert found["kind"] == "onnx"
    assert found["bytes"] == path.stat().st_size
    assert found["weights_mode"] == mode
    assert found["compute"] == "float32"
    assert found["source_sha256"] == inspect(source)["sha256"]
    assert found["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 3]}]
    assert found["outputs"] == [{"name": "output", "dtype": "float32", "shape": ["batch", 2]}]
    assert found["parity"] == {"verdict": "unchecked"}
    assert found["layers"] == layer_table(graph_of(model))
    assert_close(found["weights"], weight_statistics(graph_of(model)))


@pytest.mark.parametrize("mode", ["folded", "live"])
def test_a_torchscript_file_needs_trust(mode: str, model: NALU, source: Path) -> None:
    path = exported(source, format="torchscript", weights=mode)
    found = inspect(path)
    assert (found["kind"], found["weights"], found["weights_mode"]) == ("torchscript", None, mode)
    assert found["layers"] == layer_table(graph_of(model))
    assert_close(inspect(path, trust=True)["weights"], weight_statistics(graph_of(model)))


def test_an_image_model(image_model: nn.Module, tmp_path: Path) -> None:
    save(image_model, tmp_path / "model.pt")
    path = exported(tmp_path / "model.pt", format="torchscript", input_size=(4, 4))
    found = inspect(path, trust=True)
    assert [row["path"] for row in found["layers"]] == ["head.layers.0"]
    assert_close(found["weights"], weight_statistics(graph_of(image_model, (1, 4, 4))))


def test_an_edited_live_file_shows_the_edited_weights(source: Path) -> None:
    path = exported(source, format="onnx", weights="live")
    before = inspect(path)["weights"]["layers.0"]["W"]
    proto = onnx.load_from_string(path.read_bytes())
    for tensor in proto.graph.initializer:
        if tensor.name in ("layers.0.W_hat", "layers.0.M_hat"):
            tensor.CopyFrom(numpy_helper.from_array(np.full((4, 3), 30.0, np.float32), tensor.name))
    path.write_bytes(proto.SerializeToString())
    after = inspect(path)["weights"]
    assert before["at_1"] < 1.0
    expected = {"settled": 1.0, "at_-1": 0.0, "at_0": 0.0, "at_1": 1.0, "farthest": 0.0}
    assert after["layers.0"]["W"] == pytest.approx(expected, abs=1e-12)
    assert after["layers.1"]["W"]["at_1"] < 1.0


def foreign_onnx() -> bytes:
    value = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    opset = [helper.make_opsetid("", 17)]
    data: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return data


@pytest.mark.parametrize(("make", "kind"), [(foreign_onnx, "onnx"), (torchscript, "torchscript")])
def test_a_foreign_file(make: Any, kind: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(make())
    with pytest.raises(InputError) as caught:
        inspect(tmp_path / "f", trust=kind == "onnx")
    assert str(caught.value) == (
        f"{tmp_path}/f: is a file of format {kind}, but has no metadata of nalu_export; "
        "give a file that nalu_export exported"
    )


def test_a_foreign_archive_that_is_trusted_is_a_model(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(torchscript())
    found = inspect(tmp_path / "f", trust=True)
    assert (found["kind"], found["layout"]) == ("model", "nalu-export:NAC")
    assert found["notes"][0] == "was loaded with trust=True, which ran code in it"


def edited(path: Path, edit: Any) -> Path:
    proto = onnx.load_from_string(path.read_bytes())
    edit(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def no_weights(proto: onnx.ModelProto) -> None:
    del proto.graph.initializer[:]


def other_shapes(proto: onnx.ModelProto) -> None:
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(np.ones((5, 5), np.float32), tensor.name))


def elsewhere(proto: onnx.ModelProto) -> None:
    proto.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (no_weights, r"the file has no tensors of its layer 'layers\.0'; export it again"),
        (other_shapes, r"the tensors of its layer 'layers\.0' do not fit its metadata: .+"),
        (
            elsewhere,
            r"keeps .+ in another file; only self-contained files are read, so save it with its weights inside",
        ),
    ],
)
def test_a_damaged_file_is_named(edit: Any, text: str, source: Path) -> None:
    path = edited(exported(source, format="onnx", weights="live"), edit)
    with pytest.raises(InputError, match=rf"^{path}: {text}$"):
        inspect(path)


def test_an_exported_layer_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another process its class is not known, and need not be: the file says how its weights are computed."""
    from nalu_export import ArithmeticLayer

    (tmp_path / "own_layer.py").write_text(
        "from nalu_export import NACCell\nclass Mine(NACCell):\n    pass\ndef factory():\n    return Mine(2, 1)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))
    import own_layer  # type: ignore[import-not-found]

    path = tmp_path / "m.onnx"
    export(own_layer.factory(), path, check=False)
    del ArithmeticLayer.registry["Mine"]
    monkeypatch.delitem(sys.modules, "own_layer")
    assert list(inspect(path)["weights"][""]) == ["W"]
    assert "own_layer" not in sys.modules


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x07\xff", b"PK\x03\x04"])
def test_what_is_neither(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(InputError, match=rf"^{tmp_path}/f: is "):
        inspect(tmp_path / "f")


def test_nothing_runs_without_trust(tmp_path: Path) -> None:
    marker = tmp_path / "it ran"
    (tmp_path / "f").write_bytes(evil(f"touch '{marker}'"))
    with pytest.raises(InputError, match=r"holds Python objects"):
        inspect(tmp_path / "f")
    assert not marker.exists()
    with pytest.raises(InputError, match=r"has 'layers.0.W_hat' of type int"):
        inspect(tmp_path / "f", trust=True)
    assert marker.exists()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f: cannot be read: No such file or directory$"):
        inspect(tmp_path / "f")


def test_inspecting_leaves_the_file_alone(source: Path) -> None:
    path = exported(source, format="onnx", weights="live")
    os.utime(path, ns=(10**18, 10**18))
    before = path.read_bytes()
    inspect(path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == 10**18


@pytest.mark.parametrize("cell", [NACCell(2, 1), NALUCell(2, 1), NALUCell(2, 1, 1e-5, False, "row")])
@pytest.mark.parametrize("mode", ["folded", "live"])
def test_a_cell_alone_has_the_empty_path(cell: NACCell | NALUCell, mode: str, tmp_path: Path) -> None:
    """And what stands beside its weights in the file, such as ε, is not taken for one of them."""
    save(cell, tmp_path / "model.pt")
    expected = inspect(tmp_path / "model.pt")["weights"]
    assert list(expected) == [""]
    found = inspect(exported(tmp_path / "model.pt", weights=mode))["weights"]
    assert list(found[""]) == list(expected[""])
    assert_close(found, expected)


def test_a_subgraph_says_what_it_is_and_why(source: Path) -> None:
    (found,) = inspect(source)["subgraphs"]
    assert (found["path"], found["type"], found["whole"], found["calls"]) == ("", "NALU", True, 1)
    assert (found["why"], found["captured_by"]) == ("NALU is a layer of nalu_export.nn", "torch.fx")
    assert (found["inputs"], found["outputs"]) == ([["batch", 3]], [["batch", 2]])
    assert "layers.0.m = exp(linear(log(abs(x) + 1e-07), layers.0.W))" in found["formula"]


def test_a_module_in_memory_that_was_written_by_hand() -> None:
    found = inspect(CELLS["LinearGate"]())
    assert (found["kind"], found["class"], found["layout"], len(found["sha256"])) == ("model", "LinearGate", None, 64)
    assert found["layers"] == layer_table(graph_of(CELLS["LinearGate"]()))
    assert list(found["weights"][""]) == ["w", "gate"]
    (subgraph,) = found["subgraphs"]
    assert subgraph["why"] == "its weights are computed by tanh and sigmoid"
    assert subgraph["formula"][0] == "g = sigmoid(linear(x, gate.weight, gate.bias))"


def test_regions_calls_and_weights_of_torch() -> None:
    (region,) = inspect(NETS["inline in a CNN"].build())["subgraphs"]
    assert (region["path"], region["type"], region["whole"]) == ("arithmetic", "InlineCnn", False)
    loop = NETS["loop from new_zeros"]
    (cell,) = inspect(loop.build(), example_inputs=torch.rand(2, *loop.shape))["subgraphs"]
    assert (cell["path"], cell["calls"], cell["captured_by"]) == ("cell", 5, "torch.export")
    (normed,) = inspect(CELLS["WeightNormGate"]())["subgraphs"]
    assert "g = sigmoid(linear(x, gate.weight, gate.bias))" in normed["formula"]
    (normed,) = inspect(CELLS["OldWeightNormGate"]())["subgraphs"]
    assert "_weight_norm(gate.weight_v, gate.weight_g, 0)" in normed["formula"][0]


def test_a_public_head_in_memory_and_from_its_weights(tmp_path: Path) -> None:
    build, shape = PUBLIC["shivamsaboo17 BuildHead, NALU"]
    assert shape == IMAGE
    torch.save(build().state_dict(), tmp_path / "head.pt")
    for found in (inspect(build()), inspect(tmp_path / "head.pt", build)):
        paths = [row["path"] for row in found["layers"]]
        assert paths == ["head.model.0.nac", "head.model.0", "head.model.1.nac", "head.model.1"]
        assert [row["weights"] for row in found["layers"]] == [{"W": "W"}] * 4
        assert [path["path"] for path in found["subgraphs"]] == ["head"]


def test_a_model_without_arithmetic_and_one_that_does_not_run() -> None:
    found = inspect(nn.Sequential(nn.Linear(2, 3), nn.ReLU()))
    assert (found["layers"], found["weights"], found["subgraphs"], found["notes"]) == ([], {}, [], [])

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise OSError("not today")

    found = inspect(Broken())
    assert [row["path"] for row in found["layers"]] == list(found["weights"]) == ["head.layers.0"]
    assert [each["path"] for each in found["subgraphs"]] == ["head"]
    assert found["notes"][0].startswith("only head is examined in full: Broken does not run on 2 features (not today);")


@pytest.mark.quick(3)
@pytest.mark.parametrize("name", ["inline in a CNN", "siamese", "several heads summed"])
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@pytest.mark.parametrize("mode", ["folded", "live"])
def test_a_file_tells_the_same_as_the_module_that_it_is_from(
    name: str, kind: FormatName, mode: Weights, tmp_path: Path
) -> None:
    model, example = NETS[name].build(), torch.rand(3, *NETS[name].shape)
    path = tmp_path / "f"
    export(model, path, format=kind, weights=mode, check=False, example_inputs=example)
    found, expected = inspect(path, trust=True), inspect(model, example_inputs=example)
    assert found["layers"] == expected["layers"]
    assert_close(found["weights"], expected["weights"])


def test_options(source: Path) -> None:
    with pytest.raises(InputError, match=r"^inspect takes no argument 'colour'"):
        inspect(source, colour="red")  # type: ignore[call-arg]
    with pytest.raises(
        InputError, match=r"^layout is for reading files, but the source is a module in memory; leave it out$"
    ):
        inspect(NAC(2, 1), layout="goddoe")
