"""examples/cpp/golden.hpp: every damaged golden file of either version is refused in one line."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export.api.golden import read_golden
from nalu_export.api.golden_files import Golden, to_bin
from tests.examples.programs import Done, Programs
from tests.goldens import header, header_bytes, named, output_of, several, shape_bytes, single, version_1

# Version 1: magic, version, compute, SHA-256, (rank, sizes) of x and of y, then numbers.
VERSION, COMPUTE, SHA, X_RANK, X_SHAPE, Y_RANK, Y_SHAPE, NUMBERS = 8, 12, 16, 80, 84, 100, 104, 120
SIZE = NUMBERS + 384 * (16 * 4 + 29)


def put(offset: int, pattern: str, *values: object) -> Callable[[bytes], bytes]:
    """Overwrites a field."""

    def mutate(data: bytes) -> bytes:
        field = struct.pack(f"<{pattern}", *values)
        return data[:offset] + field + data[offset + len(field) :]

    return mutate


def cut(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:size]


MUTATIONS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (cut(0), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "magic cut": (cut(7), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "magic": (put(0, "8s", b"NALUGOLF"), "is not a golden file; make one with: nalu-export golden MODEL -o golden.bin"),
    "version cut": (cut(10), "is cut off after 10 bytes"),
    "version": (put(VERSION, "I", 3), "is a golden file of version 3; this program reads versions 1 and 2"),
    "compute cut": (cut(14), "is cut off after 14 bytes"),
    "compute": (put(COMPUTE, "I", 16), "says compute 16; 32 or 64 is expected"),
    "sha cut": (cut(50), "is cut off after 50 bytes"),
    "sha not hex": (put(SHA, "s", b"\x1b"), "holds no SHA-256 of its model"),
    "rank cut": (cut(82), "is cut off after 82 bytes"),
    "rank 0": (put(X_RANK, "I", 0), "says that input input has rank 0; 1 to 16 is expected"),
    "rank 17": (put(X_RANK, "I", 17), "says that input input has rank 17; 1 to 16 is expected"),
    "rank huge": (put(Y_RANK, "I", 2**32 - 1), "says that output output has rank 4294967295; 1 to 16 is expected"),
    "shape cut": (cut(90), "is cut off after 90 bytes"),
    "y rank cut": (cut(102), "is cut off after 102 bytes"),
    "y shape cut": (cut(119), "is cut off after 119 bytes"),
    "samples differ": (put(Y_SHAPE, "Q", 383), "holds 384 samples of input input and 383 of output output"),
    "huge": (put(X_SHAPE + 8, "Q", 2**63), "has more numbers than fit into memory"),
    "overflow": (put(Y_SHAPE + 8, "Q", 2**58), "has more numbers than fit into memory"),
    "larger": (
        put(X_SHAPE + 8, "Q", 17),
        f"is damaged: {SIZE - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS + 384 * 4}",
    ),
    "cut": (cut(SIZE - 1), f"is damaged: {SIZE - 1 - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS}"),
    "trailing": (
        lambda data: data + b"\0",
        f"is damaged: {SIZE + 1 - NUMBERS} bytes of numbers, its shapes need {SIZE - NUMBERS}",
    ),
    "accept": (put(SIZE - 1, "B", 5), "says accept 5; 0 to 4 is expected"),
}


def infer(programs: Programs, path: Path) -> Done:
    return programs.run("header_infer_head", path)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_file_of_version_1_is_one_line(name: str, programs: Programs, tmp_path: Path) -> None:
    data = version_1(read_golden(programs.file("head.bin")))
    assert len(data) == SIZE
    mutate, text = MUTATIONS[name]
    (tmp_path / "g.bin").write_bytes(mutate(data))
    done = infer(programs, tmp_path / "g.bin")
    assert (done.code, done.out, done.err) == (2, "", f"header_infer: {tmp_path / 'g.bin'} {text}\n")


def whole(**arrays: Any) -> bytes:
    output = output_of("y", np.ones((2, 1), np.int64))
    return to_bin(replace(several(2), outputs=(replace(output, **arrays),)))


X, Y = named(b"x", 1, (2, 3)), named(b"y", 1, (2,), 0)
# Of X and Y.
FOLLOWING = bytes(4 * 6 + 29 * 2)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "counts cut": (header_bytes() + b"\1\0\0\0\1", "is cut off after 85 bytes"),
    "no inputs": (header([], [Y]), "says that the number of inputs is 0; 1 to 64 is expected"),
    "65 outputs": (header([X], [Y] * 65), "says that the number of outputs is 65; 1 to 64 is expected"),
    "no name": (
        header([named(b"", 1, (2,))], [Y]),
        "says that the length of an input's name is 0; 1 to 255 is expected",
    ),
    "a name of 4 GiB": (
        header_bytes() + struct.pack("<III", 1, 1, 2**32 - 1),
        "says that the length of an input's name is 4294967295; 1 to 255 is expected",
    ),
    "a name cut": (header_bytes() + struct.pack("<III", 1, 1, 9) + b"abc", "is cut off after 95 bytes"),
    "a name that is no line": (
        header([X], [named(b"a\n\x1b[31m", 1, (2,), 0)]),
        "has an output whose name cannot be printed",
    ),
    "two of a name": (header([X, X], [Y]), "has two inputs of the name x"),
    "two outputs of a name": (header([X], [Y, Y]), "has two outputs of the name y"),
    "type 0": (header([named(b"x", 0, (2,))], [Y]), "says that the type of input x is 0; 1 to 5 is expected"),
    "type 6": (header([X], [named(b"y", 6, (2,), 0)]), "says that the type of output y is 6; 1 to 5 is expected"),
    "shared": (header([X], [named(b"y", 1, (2,), 2)]), "says that shared of output y is 2; 0 to 1 is expected"),
    "no axes": (header([X], [named(b"y", 1, (), 0)]), "says that output y has rank 0; 1 to 16 is expected"),
    "rank 17": (header([X], [named(b"y", 1, (1,) * 17, 1)]), "says that output y has rank 17; 0 to 16 is expected"),
    "samples": (
        header([X, named(b"z", 4, (3,))], [Y]),
        "holds 2 samples of input x and 3 of input z",
    ),
    "samples of an output": (
        header([X], [named(b"y", 1, (3,), 0)]),
        "holds 2 samples of input x and 3 of output y",
    ),
    "huge": (header([named(b"x", 1, (2, 2**63))], [Y]), "has more numbers than fit into memory"),
    "cut": (header([X], [Y]) + FOLLOWING[:-1], "is damaged: 81 bytes of numbers, its shapes need 82"),
    "trailing": (header([X], [Y]) + FOLLOWING + b"\0", "is damaged: 83 bytes of numbers, its shapes need 82"),
    "a truth value": (
        header([named(b"x", 5, (2, 3))], [Y]) + b"\0\1\2\0\0\0" + FOLLOWING[4 * 6 :],
        "has truth values in input x that are neither 0 nor 1",
    ),
    "an integer within a bound": (
        whole(bound=np.full((2, 1), 0.5)),
        "has a bound for output y, which is whole, that is neither 0 nor infinite",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_line(name: str, programs: Programs, tmp_path: Path) -> None:
    data, text = DAMAGED[name]
    (tmp_path / "g.bin").write_bytes(data)
    done = infer(programs, tmp_path / "g.bin")
    assert (done.code, done.out, done.err) == (2, "", f"header_infer: {tmp_path / 'g.bin'} {text}\n")


def test_a_file_that_is_cut_anywhere(programs: Programs, tmp_path: Path) -> None:
    data, path = to_bin(several(1)), tmp_path / "g.bin"
    for size in range(8, len(data), 7):
        path.write_bytes(data[:size])
        done = infer(programs, path)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert f"{path} is cut off after {size} bytes" in done.err or f"{path} is damaged: " in done.err


OTHERS: dict[str, tuple[Golden, str]] = {
    "several": (several(), "is for 3 inputs and 4 outputs, the header for one of each"),
    "type": (
        single(np.ones((2, 16), np.int64), np.ones((2, 1), np.float32)),
        "is for int64 to float32, the header for float32 to float32",
    ),
    "shape": (
        single(np.ones((2, 4, 4), np.float32), np.ones((2, 1), np.float32)),
        "is for 2 x 4 x 4 to 2 x 1, the header for 2 x 16 to 2 x 1",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_header_of_other_inputs_and_outputs(name: str, programs: Programs, tmp_path: Path) -> None:
    golden, text = OTHERS[name]
    digest = read_golden(programs.file("head.bin")).source_sha256
    (tmp_path / "g.bin").write_bytes(to_bin(replace(golden, source_sha256=digest)))
    done = infer(programs, tmp_path / "g.bin")
    assert (done.code, done.err) == (2, f"header_infer: {tmp_path / 'g.bin'} {text}\n")


def test_what_is_no_file_is_not_waited_for(programs: Programs, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("/dev/zero")):
        done = infer(programs, path)
        assert (done.code, done.out, done.err) == (2, "", f"header_infer: {path} is not a file\n")


def test_shapes_are_those_of_the_bytes() -> None:
    """What the damaged files above are made with is what the package writes."""
    golden = single(np.zeros((2, 3), np.float32), np.zeros(2, np.float32), "a" * 64)
    made = header([named(b"input", 1, (2, 3))], [named(b"output", 1, (2,), 0)])
    assert to_bin(golden).startswith(made)
    assert shape_bytes((2,)) in made
