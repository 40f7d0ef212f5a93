"""Golden files that are not as the package writes them: each is refused in one line, whatever is in it."""

import math
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nalu_export import InputError
from nalu_export.api.golden import read_golden
from nalu_export.api.golden_files import Golden, GoldenInput, checked, from_bin, to_bin, to_npz
from tests.goldens import (
    FIELDS,
    changed,
    header,
    header_bytes,
    named,
    output_of,
    several,
    shape_bytes,
    single,
    version_1,
)

HEAD = len(header_bytes())
HUGE = 2**63
ENDS = "within its header; it is cut off"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_golden(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


X, Y = named(b"x", 1, (2, 3)), named(b"y", 1, (2,), 0)
NUMBERS = bytes(4 * 6 + 29 * 2)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", f"ends at byte 0, {ENDS}"),
    "magic": (b"NALUGOLT" + bytes(200), "does not start with NALUGOLD, so it is not a golden file"),
    "version 0": (header_bytes(0), "is of version 0; expected 1 or 2"),
    "version 3": (header_bytes(3), "is of version 3; expected 1 or 2"),
    "compute": (header_bytes(compute=16), "compute is 16; expected 32 or 64"),
    "no inputs": (header([], [Y]), "has 0 inputs; expected 1 to 64"),
    "no outputs": (header([X], []), "has 0 outputs; expected 1 to 64"),
    "65 inputs": (header([X] * 65, [Y]), "has 65 inputs; expected 1 to 64"),
    "very many outputs": (
        header_bytes() + struct.pack("<II", 1, 2**32 - 1),
        "has 4294967295 outputs; expected 1 to 64",
    ),
    "no name": (header([named(b"", 1, (2,))], [Y]), "an input's name is ''; expected 1 to 255 printable bytes"),
    "a long name": (
        header([named(b"n" * 256, 1, (2,))], [Y]),
        f"an input's name is '{'n' * 40}'; expected 1 to 255 printable bytes",
    ),
    "a name of 4 GiB": (header_bytes() + struct.pack("<III", 1, 1, 2**32 - 1) + bytes(99), f"ends at byte 191, {ENDS}"),
    "a name that is no line": (
        header([X], [named(b"a\n\x1b[31m", 1, (2,), 0)]),
        r"an output's name is 'a\n\x1b[31m'; expected 1 to 255 printable bytes",
    ),
    "a name that is no UTF-8": (header([named(b"\xff", 1, (2,))], [Y]), "an input's name is not UTF-8"),
    "two of a name": (header([X, X], [Y]), "has several inputs named x"),
    "two outputs of a name": (header([X], [Y, Y]), "has several outputs named y"),
    "type 0": (header([named(b"x", 0, (2,))], [Y]), "input x is of type 0; expected 1 to 5"),
    "type 6": (header([X], [named(b"y", 6, (2,), 0)]), "output y is of type 6; expected 1 to 5"),
    "shared": (header([X], [named(b"y", 1, (2,), 2)]), "output y says 2 for shared; expected 0 or 1"),
    "an input without axes": (header([named(b"x", 1, ())], [Y]), "input x has 0 axes; expected 1 to 16"),
    "an output without axes": (header([X], [named(b"y", 1, (), 0)]), "output y has 0 axes; expected 1 to 16"),
    "rank 17": (header([X], [named(b"y", 1, (1,) * 17, 1)]), "output y has 17 axes; expected 0 to 16"),
    "cut in the numbers": (
        header([X], [Y]) + NUMBERS[:-1],
        "has 227 bytes; its input x (2, 3) and output y (2,) need 228",
    ),
    "trailing": (
        header([X], [Y]) + NUMBERS + b"\0",
        "has 229 bytes; its input x (2, 3) and output y (2,) need 228",
    ),
    "huge": (
        header([named(b"x", 1, (HUGE, HUGE))], [Y]),
        f"has 146 bytes; its input x {(HUGE, HUGE)} and output y (2,) need more than 2**64",
    ),
    "many that do not fit": (
        header([named(b"%d" % number, 1, (2,)) for number in range(9)], [Y]) + NUMBERS,
        "has 388 bytes; its 9 inputs and 1 outputs need 436",
    ),
    "no samples": (
        header([named(b"x", 1, (0, 3))], [named(b"y", 1, (0,), 0)]),
        "input x has shape (0, 3), which holds no numbers",
    ),
    "a size of nothing": (
        header([X], [named(b"y", 1, (2, 0), 0)]) + NUMBERS[: 4 * 6],
        "output y has shape (2, 0), which holds no numbers",
    ),
    "a truth value": (
        header([named(b"x", 5, (2, 3))], [Y]) + b"\0\1\2\0\0\0" + NUMBERS[4 * 6 :],
        "input x has booleans that are neither 0 nor 1",
    ),
    "a truth value of PyTorch's": (
        header([X], [named(b"y", 5, (2,), 0)]) + bytes(4 * 6 + 2 * 24) + b"\0\xff\0\0",
        "output y: torch has booleans that are neither 0 nor 1",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_binary_file(case: str, tmp_path: Path) -> None:
    data, text = DAMAGED[case]
    (tmp_path / "golden.bin").write_bytes(data)
    assert refused(tmp_path / "golden.bin") == text


DAMAGED_1: dict[str, tuple[bytes, str]] = {
    "rank 0": (shape_bytes(()), "input input has 0 axes; expected 1 to 16"),
    "rank 100": (struct.pack("<I", 100), "input input has 100 axes; expected 1 to 16"),
    "rank of the output": (shape_bytes((2, 3)) + shape_bytes(()), "output output has 0 axes; expected 1 to 16"),
    "size": (
        shape_bytes((2, 3)) + shape_bytes((2,)),
        "has 112 bytes; its input input (2, 3) and output output (2,) need 194",
    ),
    "samples": (
        shape_bytes((2, 3)) + shape_bytes((1, 2)) + NUMBERS,
        "output output has 1 samples, the inputs 2; expected the same number",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_1)
def test_a_damaged_file_of_version_1(case: str, tmp_path: Path) -> None:
    data, text = DAMAGED_1[case]
    (tmp_path / "golden.bin").write_bytes(header_bytes(1) + data)
    assert refused(tmp_path / "golden.bin") == text


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_that_is_cut_anywhere(version: int) -> None:
    data = to_bin(several()) if version == 2 else version_1(single(np.ones((2, 3)), np.ones((2, 1), np.float32)))
    for size in range(len(data)):
        with pytest.raises(
            InputError, match=rf"^(ends at byte {size}, {ENDS}|has {size} bytes; its .* need {len(data)})$"
        ):
            from_bin(data[:size])


def whole(**arrays: Any) -> Golden:
    """One output of int32 with other arrays than it has to have."""
    return changed(single(np.ones((2, 1), np.float32), np.array([[1], [2]], np.int32)), **arrays)


def real(**arrays: Any) -> Golden:
    return changed(single(np.ones((2, 1), np.float32), np.ones((2, 1), np.float32)), **arrays)


def column(*values: float) -> NDArray[np.float64]:
    return np.array(values, np.float64)[:, None]


NO_SENSE: dict[str, tuple[Golden, str]] = {
    "hash": (replace(real(), source_sha256="abc"), "source_sha256 is abc; expected 64 hexadecimal digits"),
    "capitals": (
        replace(real(), source_sha256="A" * 64),
        f"source_sha256 is {'A' * 60}; expected 64 hexadecimal digits",
    ),
    "a line": (
        replace(real(), source_sha256="\n" * 64),
        f"source_sha256 is {chr(10) * 60!a}; expected 64 hexadecimal digits",
    ),
    "compute": (replace(real(), compute="float16"), "compute is float16; expected float32 or float64"),  # type: ignore[arg-type]
    "samples": (
        replace(real(), inputs=(*real().inputs, GoldenInput("z", np.ones((3, 1), np.float32)))),
        "input z has 3 samples, input input 2; expected the same number",
    ),
    "an output of fewer samples": (
        replace(real(), outputs=(output_of("y", np.ones((1, 2), np.float32)),)),
        "output y has 1 samples, the inputs 2; expected the same number",
    ),
    "a negative bound": (real(bound=column(0, -1)), "output output: bound has values that are negative or NaN"),
    "a unit that is NaN": (real(unit=column(0, math.nan)), "output output: unit has values that are negative or NaN"),
    "accept": (real(accept=np.full((2, 1), 5, np.uint8)), "output output: accept has a value 5; expected 0 to 4"),
    "an integer within a bound": (
        whole(bound=column(0, 0.5)),
        "output output is int32, but has a bound that is neither 0 nor infinite",
    ),
    "an integer between two": (
        whole(reference=column(1, 2.5)),
        "output output is int32, but has a reference that is not of that type",
    ),
    "an integer that is too large": (
        whole(reference=column(1, 2.0**31)),
        "output output is int32, but has a reference that is not of that type",
    ),
    "an integer that is none": (
        whole(reference=column(1, math.nan)),
        "output output is int32, but has a reference that is not of that type",
    ),
    "a truth value that is 2": (
        replace(real(), outputs=(replace(output_of("y", np.ones((2, 1), np.bool_)), reference=column(1, 2)),)),
        "output y is bool, but has a reference that is not of that type",
    ),
}


@pytest.mark.parametrize("case", NO_SENSE)
def test_parts_that_do_not_fit_each_other(case: str, tmp_path: Path) -> None:
    golden, text = NO_SENSE[case]
    with pytest.raises(InputError) as caught:
        checked(golden)
    assert str(caught.value) == text
    for name, write in (("golden.bin", to_bin), ("golden.npz", to_npz)):
        if name == "golden.npz" or case not in ("hash", "compute"):
            (tmp_path / name).write_bytes(write(golden))
            assert refused(tmp_path / name) == text


def test_integers_that_are_not_determined_are_anything() -> None:
    checked(whole(bound=column(math.inf, 0), reference=column(math.nan, 2)))
    checked(whole(reference=column(-(2.0**31), 2.0**31 - 1)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_bytes_end_in_anything_but_one_line(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([to_bin(several()), version_1(real())])))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=4)):
        content[at] = value
    content = content[: data.draw(st.integers(0, len(content)))]
    try:
        from_bin(bytes(content))
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017  most pass, and what they hold does not matter


DAMAGED_ARRAYS: dict[str, tuple[dict[str, Any], str]] = {
    "missing": (
        {"output/y/unit": None},
        "has no array output/y/unit, so it is not a golden file, or an incomplete one",
    ),
    "no names": ({"inputs": None}, "has no array inputs, so it is not a golden file, or an incomplete one"),
    "more": ({"y\n": np.zeros(1)}, r"holds an array 'y\n', which is not part of a golden file"),
    "version": ({"version": np.array(3)}, "is of version 3; expected 2, or no array version, which means version 1"),
    "no version": (
        {"version": np.array("2")},
        "is of version <U1 (); expected 2, or no array version, which means version 1",
    ),
    "type": ({"input/x/values": np.zeros((3, 2), np.float16)}, "input x is float16; expected one of TYPES"),
    "byte order": ({"input/x/values": np.zeros((3, 2), ">f4")}, "input x is >f4; expected one of TYPES"),
    "type of PyTorch's": ({"output/k/torch": np.array(1, np.uint8)}, "output k: torch is uint8; expected one of TYPES"),
    "type of the bound": ({"output/y/bound": np.zeros((3, 2), "f4")}, "output y: bound is float32; expected float64"),
    "no axes": ({"input/x/values": np.zeros((), np.float32)}, "input x has 0 axes; expected 1 to 16"),
    "many axes": (
        {"input/x/values": np.zeros((3, *[1] * 16), np.float32)},
        "input x has 17 axes; expected 1 to 16",
    ),
    "shape": (
        {"output/y/bound": np.zeros((3, 1))},
        "output y: bound has shape (3, 1), reference (3, 2); expected the same",
    ),
    "samples": (
        {"input/how many/values": np.zeros(2, np.int64)},
        "input how many has 2 samples, input x 3; expected the same number",
    ),
    "not shared": ({"shared": np.zeros(4, np.bool_)}, "output k has 0 axes; expected 1 to 16"),
    "shared": ({"shared": np.zeros(3, np.bool_)}, "shared is bool (3,); expected bool (4,)"),
    "shared by half": ({"shared": np.zeros(4)}, "shared is float64 (4,); expected bool (4,)"),
    "a number for a text": ({"compute": np.array(32)}, "compute is int64 (); expected one text"),
    "texts": ({"compute": np.array(["float32"])}, "compute is <U7 (1,); expected one text"),
    "a number for names": ({"inputs": np.zeros(3)}, "inputs is float64 (3,); expected a list of names"),
    "a name": ({"inputs": np.array("x")}, "inputs is <U1 (); expected a list of names"),
    "names of nothing": ({"inputs": np.array([], "U1")}, "has 0 inputs; expected 1 to 64"),
    "names that are one": ({"inputs": np.array(["x", "x", "y"])}, "has several inputs named x"),
    "a name that is a line": (
        {"outputs": np.array(["y", "a\n", "k", "any"])},
        r"an output's name is 'a\n'; expected 1 to 255 printable bytes",
    ),
    "no Unicode": (
        {"compute": np.frombuffer(b"\xff" * 4, "<U1").reshape(())},
        "holds a text that is not valid Unicode",
    ),
    "names of no Unicode": ({"inputs": np.frombuffer(b"\xff" * 4, "<U1")}, "holds a text that is not valid Unicode"),
    "odd truths": (
        {"input/mask/µ.npy/values": np.full((3, 2, 1), 2, np.uint8).view(np.bool_)},
        "input mask/µ.npy has booleans that are neither 0 nor 1",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_ARRAYS)
def test_damaged_arrays(case: str, tmp_path: Path) -> None:
    path = tmp_path / "golden.npz"
    path.write_bytes(to_npz(several()))
    with np.load(path) as found:
        arrays = dict(found)
    changes, text = DAMAGED_ARRAYS[case]
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    assert refused(path) == text.replace("TYPES", "float32, float64, int32, int64, bool")


DAMAGED_ARRAYS_1: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"unit": None}, "has no array unit, so it is not a golden file, or an incomplete one"),
    "more": ({"y": np.zeros(1)}, "holds an array y, which is not part of a golden file"),
    "type": ({"x": np.zeros((2, 1))}, "x is float64; expected float32"),
    "type of the output": ({"torch": np.zeros((2, 1), np.int64)}, "torch is int64; expected float32"),
    "samples": (
        {"x": np.zeros((3, 1), np.float32)},
        "output output has 2 samples, the inputs 3; expected the same number",
    ),
}


@pytest.mark.parametrize("case", DAMAGED_ARRAYS_1)
def test_damaged_arrays_of_version_1(case: str, tmp_path: Path) -> None:
    path, golden = tmp_path / "golden.npz", real()
    arrays = {name: getattr(golden.outputs[0], name) for name in FIELDS}
    arrays |= {"x": golden.inputs[0].values, "source_sha256": golden.source_sha256, "compute": golden.compute}
    changes, text = DAMAGED_ARRAYS_1[case]
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    assert refused(path) == text


@pytest.mark.parametrize("dtype", ["<U0", "<U1"])
def test_a_billion_assumptions(dtype: str, tmp_path: Path) -> None:
    """Of no characters they take no byte of a file, and numpy would make four of each."""
    path, content = tmp_path / "golden.npz", tmp_path / "a.npy"
    count = 10**9 if dtype == "<U0" else 10**6
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': ({count},), }}\n".encode()
    content.write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(count * 4 * int(dtype[2])))
    path.write_bytes(to_npz(several()))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | {"assumptions.npy": content.read_bytes()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    said = refused(path)
    assert "entries of 0 bytes" in said if dtype == "<U0" else said == "has 1,000,000 assumptions; expected at most 16"


def test_files_that_are_something_else(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK\3\4garbage")
    assert refused(tmp_path / "a.npz").startswith("not a readable .npz or .npy file: ")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", b"garbage")
    assert refused(tmp_path / "b.npz").startswith("not a readable .npz or .npy file: its member x.npy is not an array")
    assert refused(tmp_path / "no.bin") == "cannot be read: No such file or directory"
    (tmp_path / "c.bin").mkdir()
    assert refused(tmp_path / "c.bin") == "is a directory; give the path of a file"
    assert refused(tmp_path / "d.txt") == "the name of a golden file must end in .bin or .npz"
