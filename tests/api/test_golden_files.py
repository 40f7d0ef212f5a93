"""Both forms of a golden file: read as written, byte by byte as docs/cpp.md has it, and version 1 still read."""

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export import NALU, write_golden
from nalu_export.api.golden import read_golden
from nalu_export.api.golden_files import Golden, from_arrays, from_bin, to_bin, to_npz
from nalu_export.graph.folding import Compute
from tests.goldens import FIELDS, TYPES, changed, header_bytes, same, several, shape_bytes, single, version_1


class TestBothForms:
    @pytest.mark.parametrize("suffix", [".bin", ".npz"])
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_read_as_written(self, nalu: NALU, suffix: str, compute: Compute, tmp_path: Path) -> None:
        found = write_golden(nalu, tmp_path / f"golden{suffix}", compute=compute, samples=2)
        assert same(read_golden(found.path), found.golden)

    @pytest.mark.parametrize("suffix", [".bin", ".npz"])
    def test_several_inputs_and_outputs_of_all_types(self, suffix: str, tmp_path: Path) -> None:
        golden, path = several(), tmp_path / f"golden{suffix}"
        path.write_bytes(to_bin(golden) if suffix == ".bin" else to_npz(golden))
        found = read_golden(path)
        assert same(found, golden)
        assert found.samples == 3
        assert [output.shared for output in found.outputs] == [False, False, True, False]
        assert found.outputs[2].reference.shape == ()
        found.inputs[2].values[...] = True  # it can be written to
        assert all(array.dtype.isnative for array in (given.values for given in found.inputs))

    def test_the_binary_form_byte_by_byte(self) -> None:
        golden = replace(several(), assumptions=("eps is 1e-10", "größe"))
        expected = [header_bytes(), struct.pack("<II", 3, 4)]
        for given in golden.inputs:
            name, code = given.name.encode(), TYPES[str(given.values.dtype)]
            expected += [struct.pack("<I", len(name)), name, struct.pack("<I", code), shape_bytes(given.values.shape)]
        for output in golden.outputs:
            name, code = output.name.encode(), TYPES[str(output.torch.dtype)]
            expected += [struct.pack("<I", len(name)), name, struct.pack("<II", code, output.shared)]
            expected += [shape_bytes(output.reference.shape)]
        expected += [b"\x02\0\0\0\x0c\0\0\0eps is 1e-10\x07\0\0\0", "größe".encode()]
        expected += [given.values.tobytes() for given in golden.inputs]
        expected += [getattr(output, name).tobytes() for output in golden.outputs for name in FIELDS]
        assert to_bin(golden) == b"".join(expected)

    @pytest.mark.parametrize("name", ["x.npy", "a/b", "/", "..", "é ∑ 😀", "a\\b", "n" * 255, "input/x/values"])
    def test_any_printable_name(self, name: str) -> None:
        golden = single(np.ones((2, 1), np.float32), np.ones((2, 1), np.int32))
        (given,), (output,) = golden.inputs, golden.outputs
        named = replace(golden, inputs=(replace(given, name=name), given), outputs=(output, replace(output, name=name)))
        assert same(from_bin(to_bin(named)), named)
        with np.load(io.BytesIO(to_npz(named)), allow_pickle=False) as arrays:
            assert same(from_arrays(dict(arrays)), named)

    def test_whatever_order_and_byte_order_arrays_are_in(self) -> None:
        golden = several()
        arrays: dict[str, Any] = {name: np.asfortranarray(getattr(golden.outputs[0], name)) for name in FIELDS}
        turned = changed(golden, x=np.asfortranarray(golden.inputs[0].values).astype(">f4"), **arrays)
        assert to_bin(turned) == to_bin(golden)
        assert same(from_arrays(dict(np.load(io.BytesIO(to_npz(turned))))), golden)


def test_numpy_reads_the_other() -> None:
    golden = replace(several(), assumptions=("eps is 1e-10", "größe"))
    file = io.BytesIO(to_npz(golden))
    with np.load(file, allow_pickle=False) as arrays:
        kinds = {name: f"{arrays[name].dtype} {arrays[name].shape}" for name in arrays}
        assert list(arrays["inputs"]) == [given.name for given in golden.inputs]
        assert list(arrays["outputs"]) == [output.name for output in golden.outputs]
        assert (str(arrays["compute"]), str(arrays["source_sha256"])) == ("float32", "a" * 64)
        assert tuple(arrays["assumptions"]) == golden.assumptions
        np.testing.assert_array_equal(arrays["input/mask/µ.npy/values"], golden.inputs[2].values)
    assert {name: kind for name, kind in kinds.items() if "/" not in name} == {
        "version": "uint32 ()",
        "source_sha256": "<U64 ()",
        "compute": "<U7 ()",
        "inputs": "<U10 (3,)",
        "outputs": "<U5 (4,)",
        "shared": "bool (4,)",
        "assumptions": "<U12 (2,)",
    }
    assert {name: kind for name, kind in kinds.items() if name.startswith(("input/", "output/k/"))} == {
        "input/x/values": "float32 (3, 2)",
        "input/how many/values": "int64 (3,)",
        "input/mask/µ.npy/values": "bool (3, 2, 1)",
        "output/k/reference": "float64 ()",
        "output/k/bound": "float64 ()",
        "output/k/unit": "float64 ()",
        "output/k/torch": "int64 ()",
        "output/k/accept": "uint8 ()",
    }
    with zipfile.ZipFile(file) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


class TestVersion1:
    """A file from before there were names."""

    def golden(self) -> Golden:
        x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
        return single(x, x[:, :2], "0123456789abcdef" * 4)

    def test_the_binary_form(self, tmp_path: Path) -> None:
        golden, path = self.golden(), tmp_path / "golden.bin"
        path.write_bytes(version_1(golden))
        assert same(read_golden(path), golden)

    def test_the_other(self, tmp_path: Path) -> None:
        golden, path = self.golden(), tmp_path / "golden.npz"
        (given,), (output,) = golden.inputs, golden.outputs
        arrays = {name: getattr(output, name) for name in FIELDS}
        np.savez(path, x=given.values, source_sha256=golden.source_sha256, compute="float32", **arrays)
        assert same(read_golden(path), golden)

    def test_it_is_written_as_version_2(self) -> None:
        golden = from_bin(version_1(self.golden()))
        assert to_bin(golden)[8:12] == b"\2\0\0\0"
        assert same(from_bin(to_bin(golden)), golden)
