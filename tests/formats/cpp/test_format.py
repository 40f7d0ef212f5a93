"""formats.cpp: what is in a header besides its arithmetic, and how it is read back."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nalu_export
from nalu_export import NAC, NALU, ArithmeticLayer, InputError, NALUCell, build_head
from nalu_export.api.inspect import inspect
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.cpp.format import FORMAT, struct_of
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.graph.folding import Compute
from nalu_export.nn.functional import effective_weight
from tests.captured import graph_of
from tests.formats.programs import needs_compiler

METADATA = {"nalu_export.tool": "nalu_export 1", "nalu_export.source_sha256": "00ff", "nalu_export.compute": "float32"}


def header(model: nn.Module, features: int, compute: Compute = "float32", **options: object) -> bytes:
    draft = FORMAT.emit(graph_of(model, (features,)), EmitOptions(compute=compute), CppOptions(**options))  # type: ignore[arg-type]
    return draft.to_bytes(METADATA)


class TestBytes:
    @pytest.mark.slow
    def test_the_same_in_another_process(self, tmp_path: Path) -> None:
        nalu_export.save(NALU(3, 2), tmp_path / "model.pt")
        script = (
            "import sys, nalu_export\n"
            "made = nalu_export.export(sys.argv[1], sys.argv[2], format='cpp', check=False, extern_c=True)\n"
        )
        for name in ("a.hpp", "b.hpp"):
            command = [sys.executable, "-c", script, str(tmp_path / "model.pt"), str(tmp_path / name)]
            subprocess.run(command, check=True, timeout=120)
        data = (tmp_path / "a.hpp").read_bytes()
        assert data == (tmp_path / "b.hpp").read_bytes()
        assert str(tmp_path).encode() not in data

    def test_it_is_ascii_and_has_no_trailing_blanks_or_tabs(self) -> None:
        text = header(NALU(20, 17, 3), 20, extern_c=True).decode("ascii")
        assert not [line for line in text.splitlines() if line != line.rstrip() or "\t" in line]
        assert text.endswith("\n")
        assert "@" not in text

    def test_two_models_of_one_name_differ_in_what_is_linked(self) -> None:
        first, second = (header(NALUCell(2, 1, eps=eps), 2).decode() for eps in (1e-10, 1e-9))
        hashes = [text.split("inline namespace model_")[1].split()[0] for text in (first, second)]
        assert len(set(hashes)) == 2
        assert all(text.count(found) == 4 for text, found in zip((first, second), hashes, strict=True))

    def test_the_names_that_were_asked_for(self) -> None:
        text = header(NAC(2, 1), 2, namespace="a::b", struct="Head", extern_c=True).decode()
        assert "\nnamespace a::b {\n" in text
        assert "\nstruct Head {\n" in text
        assert "void a_b_head_predict(const float* x, float* y);" in text
        assert "#ifdef A_B_HEAD_IMPLEMENTATION" in text
        assert struct_of(text.encode()) == "a::b::Head"
        assert "extern" not in header(NAC(2, 1), 2).decode()


class TestReading:
    def test_metadata(self) -> None:
        data = header(NALU(2, 1), 2)
        assert FORMAT.opened(data) is data
        assert FORMAT.read_metadata(data) == METADATA
        assert FORMAT.read_metadata(b"// nalu_export header 1\n") == {}

    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_every_weight_bit_for_bit(self, compute: Compute) -> None:
        model = NALU(19, 37, 5, gate="row", tied=False)
        found = FORMAT.read_weights(header(model, 19, compute), trust=False)
        dtype = np.float64 if compute == "float64" else np.float32
        for index, layer in enumerate(model.layers):
            assert isinstance(layer, NALUCell)
            double = NALUCell(layer.in_features, layer.out_features, gate="row", tied=False).double()
            double.load_state_dict(layer.state_dict())
            wanted = {
                "W": effective_weight(double.W_hat, double.M_hat),
                "W_mul": effective_weight(double.W_hat_mul, double.M_hat_mul),
                "G": double.G,
            }
            for name, value in wanted.items():
                held = found[f"layers.{index}.{name}"]
                assert held.dtype == dtype
                np.testing.assert_array_equal(held, value.detach().numpy().astype(dtype))
        assert set(found) == {f"layers.{k}.{name}" for k in (0, 1) for name in ("W", "W_mul", "G")}

    def test_inspect_judges_them(self, tmp_path: Path) -> None:
        cell = NALUCell(2, 2)
        with torch.no_grad():
            cell.W_hat.fill_(20.0)
            cell.M_hat.fill_(20.0)
        nalu_export.export(cell, tmp_path / "m.hpp", check=False)
        found = inspect(tmp_path / "m.hpp")
        assert found["kind"] == "cpp"
        assert found["weights"][""]["W"]["at_1"] == 1.0

    @pytest.mark.parametrize(
        ("old", "new", "name"),
        [
            ("// weight 1x2 ", "// weight 1x3 ", "'layers.0.W'"),
            ("// weight 1x2 ", "// weight 2 ", "'layers.0.W'"),
            ("// weight 1x2 ", "// weight 1x999999999 ", "'layers.0.W'"),
            ("  0x", "  0y", "'layers.0.W'"),
            ("  0x", "  0x1p9999999, 0x", "'layers.0.W'"),
            ('"layers.0.W"', '"layers.0\\u"', repr(r'"layers.0\u"')),
            ('"layers.0.W"', '"layers\x1b.0.W"', repr('"layers\x1b.0.W"')),
        ],
    )
    def test_damaged_arrays(self, old: str, new: str, name: str) -> None:
        model = NAC(2, 1)
        with torch.no_grad():
            model.layers[0].W_hat.fill_(1.0)  # type: ignore[operator]
        text = header(model, 2).decode()
        start = text.index("// weight")
        data = (text[:start] + text[start:].replace(old, new, 1)).encode()
        assert data != text.encode()
        with pytest.raises(InputError) as caught:
            FORMAT.read_weights(data, trust=False)
        assert str(caught.value) == f"holds a damaged array {name}; export it again"

    def test_a_file_that_was_cut_off(self) -> None:
        text = header(NALU(4, 3), 4).decode()
        end = text.index("0x", text.index('"layers.0.G"'))
        with pytest.raises(InputError, match=r"^holds a damaged array 'layers\.0\.G'; export it again$"):
            FORMAT.read_weights(text[: end + 4].encode(), trust=False)

    def test_metadata_that_is_none(self) -> None:
        data = header(NAC(2, 1), 2).replace(b'nalu_export.tool: "', b"nalu_export.tool: {")
        with pytest.raises(InputError, match=r"^its metadata nalu_export\.tool is damaged; export it again$"):
            FORMAT.read_metadata(data)


class TestRefusals:
    def test_live_weights(self) -> None:
        with pytest.raises(
            InputError, match=r"^a C\+\+ header holds effective weights only; use weights='live' with onnx"
        ):
            FORMAT.emit(graph_of(NAC(2, 1)), EmitOptions(weights="live"))
        assert FORMAT.weights == ("folded",)

    def test_options_of_another_format(self, tmp_path: Path) -> None:
        for name, value in (("struct", "X"), ("namespace", "a"), ("extern_c", True), ("part", "")):
            with pytest.raises(InputError) as caught:
                nalu_export.export(NAC(2, 1), tmp_path / "m.onnx", **{name: value})  # type: ignore[arg-type]
            assert str(caught.value) == f"{name} is given, but format onnx does not have this option; leave it out"
        assert not list(tmp_path.iterdir())

    @pytest.mark.slow
    @needs_compiler
    def test_several_parts(self, tmp_path: Path) -> None:
        model = nn.Sequential(NAC(3, 2), nn.BatchNorm1d(2), NALU(2, 1))
        with pytest.raises(InputError) as caught:
            nalu_export.export(model, tmp_path / "m.hpp", format="cpp")
        assert str(caught.value) == (
            "the model has 2 arithmetic subgraphs, 0, 2, and a C++ header holds one; say which with part='PATH'"
        )
        with pytest.raises(
            InputError,
            match=r"^part is '1', which is not an arithmetic subgraph of the model; expected one of '0', '2'$",
        ):
            nalu_export.export(model, tmp_path / "m.hpp", format="cpp", part="1")
        made = nalu_export.export(model, tmp_path / "m.hpp", format="cpp", part="2")
        assert made.metadata["part"] == {"path": "2", "fed_by": ["0", "1"], "followed_by": []}
        assert nalu_export.check(model, made, samples=8, search=0).passed

    def test_a_layer_that_mixes_samples(self) -> None:
        class Mixing(ArithmeticLayer):
            def __init__(self) -> None:
                super().__init__()
                self.in_features = 2

            def forward(self, x: Tensor) -> Tensor:
                return torch.prod(x, 0, keepdim=True) + x

        with pytest.raises(nalu_export.UnsupportedLayerError, match="computes across the samples of a batch"):
            FORMAT.emit(graph_of(Mixing()), EmitOptions())


class TestHeads:
    @pytest.mark.slow
    @needs_compiler
    def test_what_feeds_it_and_what_follows(self, tmp_path: Path) -> None:
        torch.manual_seed(0)
        model = build_head(nn.Sequential(nn.Conv2d(1, 4, 3)), 4, [8], "classification", 3).eval()
        made = nalu_export.export(model, tmp_path / "m.hpp", format="cpp")
        assert made.notes == (
            "the file holds only head: feed it the 8 numbers that the model gets from backbone, reduce, "
            "mean(dim=(2, 3))",
            "the file does not hold what the model does with the output of head: log_softmax(dim=1)",
        )
        assert made.metadata["inputs"] == [{"name": "input", "dtype": "float32", "shape": ["batch", 8]}]
        assert made.metadata["layers"][0]["path"] == "layers.0"
        report = nalu_export.check(model, tmp_path / "m.hpp", samples=8, search=0)
        assert report.passed
        # The head by itself is another model: its header holds the whole of it.
        with pytest.raises(
            InputError, match=r"does not fit the model: part is 'head'.*the only one is the model itself$"
        ):
            nalu_export.check(model.head, made)

    def test_a_file_that_says_to_hold_something_else(self, tmp_path: Path) -> None:
        model = build_head(nn.Sequential(nn.Conv2d(1, 4, 3)), 4, [8], "regression", 1).eval()
        made = nalu_export.export(model, tmp_path / "m.hpp", format="cpp", check=False)
        part = json.dumps(json.dumps(made.metadata["part"], ensure_ascii=False))
        for path in ("tail", ""):
            other = json.dumps(json.dumps({**made.metadata["part"], "path": path}, ensure_ascii=False))
            assert part.encode() in made.data
            (tmp_path / "other.hpp").write_bytes(made.data.replace(part.encode(), other.encode()))
            with pytest.raises(InputError) as caught:
                nalu_export.check(model, tmp_path / "other.hpp")
            assert str(caught.value) == (
                f"{tmp_path / 'other.hpp'}: does not fit the model: part is {path!r}, which is not an arithmetic "
                "subgraph of the model; expected one of 'head'"
            )
