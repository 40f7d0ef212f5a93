"""Malformed and hostile files of inputs."""

import io
import pickle
import struct
import zipfile
from typing import Any

import numpy as np

from tests.checkpoints import files
from tests.hostile.case import INPUTS, Case, Table
from tests.hostile.zips import patched


def npy(array: Any = None, *, pickled: bool = False) -> bytes:
    """An array as numpy writes it."""
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((3, 2), np.float32) if array is None else array, allow_pickle=pickled)
    return buffer.getvalue()


def headed(header: str, content: bytes = bytes(24)) -> bytes:
    """An array with this header, whatever it says."""
    encoded = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(encoded)) + encoded + content


def shaped(shape: str, kind: str = "'<f4'") -> bytes:
    """An array of this shape and type."""
    return headed(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}")


def npz(content: bytes, name: str = "x.npy", **options: Any) -> bytes:
    """An input file of one array."""
    return files.zip_bytes({name: content}, **options)


def case(make: Any, text: str) -> Case:
    """A row; what is wrong with the array instead of the file names the array."""
    return Case(make, text, INPUTS, "inputs.npz")


def array(make: Any, text: str) -> Case:
    """The same, for a file that is one and an array that is not fit."""
    return Case(make, text, INPUTS, "inputs.npz", "inputs x")


def damaged() -> bytes:
    """A compressed file with a byte in its middle overwritten, and its checksum left."""
    data = bytearray(npz(npy(np.arange(2000.0).reshape(1000, 2)), compression=zipfile.ZIP_DEFLATED))
    data[300:360] = bytes(60)
    return bytes(data)


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch executed",)


INPUT_FILES: Table = {
    "an array twice": case(
        lambda: files.zip_bytes({"x.npy": npy(), "x": npy()}),
        "has the array x twice; write it with numpy.savez(path, x=array)",
    ),
    "twenty thousand arrays": case(
        lambda: files.zip_bytes({f"{number}.npy": npy() for number in range(20_000)}),
        "has 20,000 arrays, more than 256; join them along the sample axis",
    ),
    "inputs, empty": case(
        lambda: b"", "not a readable .npz or .npy file: it is not an array; write it with numpy.savez(path, x=array)"
    ),
    "inputs, text": case(
        lambda: b"1, 2, 3\n",
        "not a readable .npz or .npy file: it is not an array; write it with numpy.savez(path, x=array)",
    ),
    "inputs, cut": case(
        lambda: npz(npy())[:-10],
        "not a readable .npz or .npy file: File is not a zip file; write it with numpy.savez(path, x=array)",
    ),
    "inputs, an array cut": case(
        lambda: npz(npy()[:-1]),
        "not a readable .npz or .npy file: its member x.npy has 23 bytes of values, its shape "
        "(3, 2) needs 24; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a header cut": case(
        lambda: npz(npy()[:20]),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, a pickle": case(
        lambda: pickle.dumps(Evil()),
        "not a readable .npz or .npy file: it is not an array; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a billion texts of no characters": case(
        lambda: npz(headed("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000, 2), }", b"")),
        "not a readable .npz or .npy file: its member x.npy has entries of 0 bytes; "
        "write it with numpy.savez(path, x=array)",
    ),
    "inputs, a billion records of nothing": case(
        lambda: npz(headed("{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000,), }", b"")),
        "not a readable .npz or .npy file: its member x.npy has entries of 0 bytes; "
        "write it with numpy.savez(path, x=array)",
    ),
    "inputs, texts for numbers": array(
        lambda: npz(npy(np.array([["1", "2"]]))), "<U1 of shape (1, 2); expected numbers of shape (samples, …)"
    ),
    "inputs, records for numbers": array(
        lambda: npz(npy(np.zeros((1, 2), "f4,i4"))),
        "[('f0', '<f4'), ('f1', '<i4')] of shape (1, 2); expected numbers of shape (samples, …)",
    ),
    "inputs, an array of objects": case(
        lambda: npz(npy(np.array([[Evil()]]), pickled=True)),
        "not a readable .npz or .npy file: Object arrays cannot be loaded: they are pickled, and "
        "unpickling runs code; write it with numpy.savez(path, x=array)",
    ),
    "inputs, one array of objects": case(
        lambda: npy(np.array([[Evil()]]), pickled=True),
        "not a readable .npz or .npy file: Object arrays cannot be loaded: they are pickled, and "
        "unpickling runs code; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a header that calls": case(
        lambda: npz(headed("__import__('os').system('touch executed')")),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, a shape that calls": case(
        lambda: npz(shaped("(__import__('os').system('touch executed'),)")),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, a nested header": case(
        lambda: npz(headed("(" * 9000)),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, a long header": case(
        lambda: npz(headed("{" + " " * 60_000 + "}")),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, an unknown type": case(
        lambda: npz(shaped("(3, 2)", "'<f7'")),
        "not a readable .npz or .npy file: its member x.npy has a damaged header; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, a shape beyond the file": case(
        lambda: npz(shaped("(3, 4)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(3, 4) needs 48; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a negative shape": case(
        lambda: npz(shaped("(-3, 2)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(-3, 2) needs -24; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a shape of 2**40": case(
        lambda: npz(shaped(f"({2**40}, 2)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(1099511627776, 2) needs 8796093022208; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a shape of 2**62": case(
        lambda: npz(shaped(f"({2**62}, 4)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(4611686018427387904, 4) needs 73786976294838206464; write it with numpy.savez(path, "
        "x=array)",
    ),
    "inputs, a shape of 2**70": case(
        lambda: npz(shaped(f"({2**70}, 2)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(1180591620717411303424, 2) needs 9444732965739290427392; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, 70 dimensions": case(
        lambda: npz(shaped("(" + "1," * 70 + ")")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape … "
        "needs 4; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a shape of Python 2": case(
        lambda: npz(shaped("(3L, 4L)")),
        "not a readable .npz or .npy file: its member x.npy has 24 bytes of values, its shape "
        "(3, 4) needs 48; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a checksum": case(
        lambda: npz(npy()).replace(bytes(24), bytes(23) + b"\1", 1),
        "not a readable .npz or .npy file: Bad CRC-32 for file 'x.npy'; write it with numpy.savez(path, x=array)",
    ),
    "inputs, damaged": case(
        damaged,
        "not a readable .npz or .npy file: Bad CRC-32 for file 'x.npy'; write it with numpy.savez(path, x=array)",
    ),
    "inputs, encrypted": case(
        lambda: files.encrypted(npz(npy())),
        "not a readable .npz or .npy file: its member x.npy is encrypted; write it with numpy.savez(path, x=array)",
    ),
    "inputs, an unknown compression": case(
        lambda: npz(npy()).replace(struct.pack("<HH", 20, 0) + struct.pack("<H", 0), struct.pack("<HHH", 20, 0, 97)),
        "not a readable .npz or .npy file: its member x.npy is compressed by a method that "
        "numpy does not use; write it with numpy.savez(path, x=array)",
    ),
    "inputs, packed by bzip2": case(
        lambda: npz(npy(), compression=zipfile.ZIP_BZIP2),
        "not a readable .npz or .npy file: its member x.npy is compressed by a method that "
        "numpy does not use; write it with numpy.savez(path, x=array)",
    ),
    "inputs, a bomb": case(
        lambda: patched(npz(npy(), compression=zipfile.ZIP_DEFLATED), 0, 24, "<I", 2**30 + 1),
        "unpacks to 1,073,741,825 bytes; at most 1,073,741,824 are read",
    ),
    "inputs, a member of another kind": case(
        lambda: npz(b"hello", "../../x.txt"),
        "not a readable .npz or .npy file: its member ../../x.txt is not an array; write it with "
        "numpy.savez(path, x=array)",
    ),
    "inputs, no array": case(lambda: files.zip_bytes({}), "holds no array; write it with numpy.savez(path, x=array)"),
    "inputs, text in an array": array(
        lambda: npz(npy(np.array([["a", "b"]]))), "<U1 of shape (1, 2); expected numbers of shape (samples, …)"
    ),
    "inputs, complex numbers": array(
        lambda: npz(npy(np.zeros((3, 2), np.complex64))),
        "complex64 of shape (3, 2); expected numbers of shape (samples, …)",
    ),
    "inputs, records": array(
        lambda: npz(npy(np.zeros((3, 2), "f4,f4"))),
        "[('f0', '<f4'), ('f1', '<f4')] of shape (3, 2); expected numbers of shape (samples, …)",
    ),
    "inputs, one dimension": array(
        lambda: npz(npy(np.zeros(2, np.float32))), "float32 of shape (2,); expected numbers of shape (samples, …)"
    ),
    "inputs, no samples": array(
        lambda: npz(npy(np.zeros((0, 2), np.float32))),
        "float32 of shape (0, 2); expected numbers of shape (samples, …)",
    ),
    "inputs, another width": array(
        lambda: npz(npy(np.zeros((3, 5), np.float32))),
        "the model does not run on samples of shape (5,): mat1 and mat2 shapes cannot be multiplied (2x5 and 2x1)",
    ),
    "inputs, samples without features": array(
        lambda: npz(npy(np.zeros((3, 0), np.float32))),
        "the model does not run on samples of shape (0,): mat1 and mat2 shapes cannot be multiplied (2x0 and 2x1)",
    ),
    "inputs, a member of an odd name": case(
        lambda: npz(b"hello", "\n\x1b[2J.txt"),
        "not a readable .npz or .npy file: its member '\\n\\x1b[2J.txt' is not an array; write it "
        "with numpy.savez(path, x=array)",
    ),
    "inputs, an array of an odd name": Case(
        lambda: npz(npy(np.zeros((3, 5), np.float32)), "\n\x1b[2J.npy"),
        "the model does not run on samples of shape (5,): mat1 and mat2 shapes cannot be multiplied (2x5 and 2x1)",
        INPUTS,
        "inputs.npz",
        "inputs '\\n\\x1b[2J'",
    ),
    "inputs, records of many fields": array(
        lambda: npz(npy(np.zeros((3, 2), [(f"field {n}", "f4") for n in range(100)]))),
        "[('field 0', '<f4'), ('field 1', '<f4'), ('field 2', '<f4'), of shape (3, 2); expected "
        "numbers of shape (samples, …)",
    ),
}
