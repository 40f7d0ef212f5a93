"""Both forms of a golden file: read as written, and refused in one line whatever else is in them."""

import math
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nalu_export import NALU, InputError, write_golden
from nalu_export._golden_codec import Golden, from_bin, to_bin
from nalu_export.golden import read_golden
from nalu_export.weights import Compute

ARRAYS = ("x", "reference", "bound", "unit", "torch", "accept")
HEAD = 8 + 4 + 4 + 64


def same(a: Golden, b: Golden) -> bool:
    texts = (a.source_sha256, a.compute) == (b.source_sha256, b.compute)
    return texts and all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in ARRAYS)


@pytest.fixture
def golden_bin(nalu: NALU, tmp_path: Path) -> Path:
    return write_golden(nalu, tmp_path / "golden.bin", samples=2).path


class TestBothForms:
    @pytest.mark.parametrize("suffix", [".bin", ".npz"])
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_read_as_written(self, nalu: NALU, suffix: str, compute: Compute, tmp_path: Path) -> None:
        found = write_golden(nalu, tmp_path / f"golden{suffix}", compute=compute, samples=2)
        assert same(read_golden(found.path), found.golden)

    def test_the_binary_form_byte_by_byte(self, golden_bin: Path) -> None:
        golden, data = read_golden(golden_bin), golden_bin.read_bytes()
        count = len(golden.x)
        assert data[:16] == b"NALUGOLD" + struct.pack("<II", 1, 32)
        assert data[16:HEAD].decode() == golden.source_sha256
        shapes = struct.pack("<IQQ", 2, count, 4) + struct.pack("<IQQ", 2, count, 2)
        assert data[HEAD : HEAD + len(shapes)] == shapes
        expected = b"".join(getattr(golden, name).tobytes() for name in ARRAYS)
        assert data[HEAD + len(shapes) :] == expected
        assert len(expected) == count * (4 * 4 + 2 * (3 * 8 + 4 + 1))

    def test_numpy_reads_the_other(self, nalu: NALU, tmp_path: Path) -> None:
        found = write_golden(nalu, tmp_path / "golden.npz", samples=2)
        with np.load(found.path, allow_pickle=False) as arrays:
            assert {name: str(arrays[name].dtype) for name in arrays} == {
                "x": "float32",
                "reference": "float64",
                "bound": "float64",
                "unit": "float64",
                "torch": "float32",
                "accept": "uint8",
                "source_sha256": "<U64",
                "compute": "<U7",
            }
            assert (arrays["compute"].shape, str(arrays["compute"])) == ((), "float32")
            assert str(arrays["source_sha256"]) == found.golden.source_sha256
            np.testing.assert_array_equal(arrays["reference"], found.golden.reference)
        with zipfile.ZipFile(found.path) as archive:
            assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_golden(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def _shapes(x: tuple[int, ...], y: tuple[int, ...]) -> bytes:
    return b"".join(struct.pack(f"<I{len(shape)}Q", len(shape), *shape) for shape in (x, y))


SIZE = 24 * (4 * 4 + 2 * 29)
TOTAL = HEAD + 40 + SIZE
HUGE = 2**63
DAMAGED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "ends at byte 0, within its header; it is cut off"),
    "cut in the head": (lambda data: data[: HEAD - 1], "ends at byte 79, within its header; it is cut off"),
    "cut before a rank": (lambda data: data[:HEAD], "ends at byte 80, within its header; it is cut off"),
    "cut in a shape": (lambda data: data[: HEAD + 5], "ends at byte 85, within its header; it is cut off"),
    "cut in the numbers": (
        lambda data: data[:-1],
        f"has {TOTAL - 1:,} bytes; its shapes x (24, 4) and y (24, 2) need {TOTAL:,}",
    ),
    "trailing": (
        lambda data: data + b"\0",
        f"has {TOTAL + 1:,} bytes; its shapes x (24, 4) and y (24, 2) need {TOTAL:,}",
    ),
    "magic": (lambda data: b"NALUGOLT" + data[8:], "does not start with NALUGOLD: no golden file"),
    "version": (lambda data: data[:8] + b"\2" + data[9:], "is of version 2; expected 1"),
    "compute": (lambda data: data[:12] + b"\20" + data[13:], "compute is 16; expected 32 or 64"),
    "hash": (
        lambda data: data[:16] + b"\n" + data[17:],
        "source_sha256 is {hash}; expected 64 hexadecimal digits",
    ),
    "rank 0": (lambda data: data[:HEAD] + struct.pack("<I", 0) + data[HEAD:], "x has 0 axes; expected 1 to 16"),
    "rank 100": (lambda data: data[:HEAD] + struct.pack("<I", 100) + data[HEAD:], "x has 100 axes; expected 1 to 16"),
    "huge": (
        lambda data: data[:HEAD] + _shapes((HUGE, HUGE), (HUGE, 2)) + data[HEAD + 40 :],
        f"has {TOTAL:,} bytes; its shapes x {(HUGE, HUGE)} and y {(HUGE, 2)} need more than 2**64",
    ),
    "another number of outputs": (
        lambda data: data[:HEAD] + _shapes((24, 4), (12, 4)) + data[HEAD + 40 :],
        "has 24 inputs and 12 outputs; expected as many",
    ),
    "nothing": (
        lambda data: data[:HEAD] + _shapes((0, 4), (0, 2)),
        "has no numbers: x has shape (0, 4), reference (0, 2)",
    ),
    "accept": (lambda data: data[:-1] + b"\5", "accept has a value 5; expected 0 to 4"),
    "a negative bound": (
        lambda data: data[: -24 * 42] + struct.pack("<d", -1.0) + data[-24 * 42 + 8 :],
        "bound has values that are negative or NaN",
    ),
    "a unit that is NaN": (
        lambda data: data[: -24 * 26] + struct.pack("<d", math.nan) + data[-24 * 26 + 8 :],
        "unit has values that are negative or NaN",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_binary_file(case: str, golden_bin: Path) -> None:
    damage, text = DAMAGED[case]
    data = golden_bin.read_bytes()
    assert len(data) == TOTAL
    golden_bin.write_bytes(damage(data))
    found = refused(golden_bin)
    assert found == text.format(hash=ascii("\n" + data[17 : 16 + 60].decode()))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_end_in_anything_but_one_line(data: st.DataObject) -> None:
    zeros = np.zeros((2, 3))
    golden = Golden(
        "0" * 64,
        "float32",
        zeros.astype(np.float32),
        zeros,
        zeros,
        zeros,
        zeros.astype(np.float32),
        zeros.astype(np.uint8),
    )
    content = bytearray(to_bin(golden))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = value
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        from_bin(bytes(content))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  most pass, and what they hold does not matter


ALL = "accept, bound, compute, reference, source_sha256, torch, unit, x"
DAMAGED_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"unit": None}, f"has no array unit; a golden file holds {ALL}"),
    "more": ({"y\n": np.zeros(1)}, f"holds an array 'y\\n' too; a golden file holds {ALL}"),
    "type": ({"x": np.zeros((24, 4))}, "x is float64; expected float32"),
    "byte order": ({"x": np.zeros((24, 4), ">f4")}, "x is >f4; expected float32"),
    "no axes": ({"x": np.zeros((), np.float32)}, "x has 0 axes; expected 1 to 16"),
    "many axes": ({"x": np.zeros((24, *[1] * 16), np.float32)}, "x has 17 axes; expected 1 to 16"),
    "shape": ({"bound": np.zeros((24, 3))}, "bound has shape (24, 3), reference (24, 2); expected the same"),
    "samples": ({"x": np.zeros((23, 4), np.float32)}, "has 23 inputs and 24 outputs; expected as many"),
    "a number for a text": ({"compute": np.array(32)}, "compute is int64 (); expected one text"),
    "texts": ({"compute": np.array(["float32"])}, "compute is <U7 (1,); expected one text"),
    "compute": ({"compute": np.array("float16")}, "compute is float16; expected float32 or float64"),
    "hash": ({"source_sha256": np.array("abc")}, "source_sha256 is abc; expected 64 hexadecimal digits"),
    "capitals": (
        {"source_sha256": np.array("A" * 64)},
        f"source_sha256 is {'A' * 60}; expected 64 hexadecimal digits",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_ARRAYS)
def test_damaged_arrays(case: str, nalu: NALU, tmp_path: Path) -> None:
    path = write_golden(nalu, tmp_path / "golden.npz", samples=2).path
    with np.load(path) as found:
        arrays = dict(found)
    changes, text = DAMAGED_ARRAYS[case]
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    assert refused(path) == text


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\3\4garbage")
    assert refused(tmp_path / "a.npz").startswith("not a readable .npz or .npy file: ")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", b"garbage")
    assert refused(tmp_path / "b.npz").startswith("not a readable .npz or .npy file: its member x.npy is not an array")
    assert refused(tmp_path / "no.bin") == "cannot be read: No such file or directory"
    (tmp_path / "c.bin").mkdir()
    assert refused(tmp_path / "c.bin") == "is a directory; give the path of a file"
    assert refused(tmp_path / "d.txt") == "a golden file's name ends in .bin or .npz"
