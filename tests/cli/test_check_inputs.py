"""``--range``, ``--inputs``, ``--search`` and ``--max-ulp``: which inputs are run and what decides."""

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export.parity.report import INTERMEDIATE
from tests.cli.conftest import Run, assert_user_error, listing

FEW = ("--samples", "8", "--search", "0")


def distributions(run: Run, *arguments: Any) -> dict[str, int]:
    """Samples of each input distribution."""
    found = json.loads(run("check", *arguments, "--json", "-").stdout)
    return {row["distribution"]: row["samples"] for row in found["rows"]}


def test_a_range_is_a_distribution(source: Path, artifact: Path, run: Run) -> None:
    usual = distributions(run, source, artifact, *FEW)
    found = distributions(run, source, artifact, *FEW, "--range", "-3", "2.5", "--range", "1e9", "1e12")
    assert set(found) - set(usual) == {"-3..2.5", "1e+09..1e+12"}
    assert found["-3..2.5"] == 8


def test_a_range_may_be_one_point(source: Path, artifact: Path, run: Run) -> None:
    assert "2..2" in distributions(run, source, artifact, *FEW, "--range", "2", "2")


def test_no_search(source: Path, artifact: Path, run: Run) -> None:
    assert "search" not in distributions(run, source, artifact, *FEW)
    searched = distributions(run, source, artifact, "--samples", "8", "--search", "3")
    assert searched["search"] == 3 * 192


def test_max_ulp_decides_by_nearness_to_pytorch(source: Path, artifact: Path, run: Run) -> None:
    result = run("check", source, artifact, *FEW, "--max-ulp", "1000000000")
    assert result.exit_code == 0
    line = "criterion: at most 1000000000 ULP from PyTorch, in place of the error bound."
    assert line in result.stdout.splitlines()
    result = run("check", source, artifact, *FEW, "--max-ulp", "0")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("FAILED: onnxruntime-cpu on distribution ")
    assert "ULP from PyTorch" in result.stdout.splitlines()[-1]


def test_max_ulp_of_the_model_against_itself(source: Path, artifact: Path, run: Run) -> None:
    assert run("check", source, artifact, *FEW, "--runtime", "torch", "--max-ulp", "0").exit_code == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.bool_, np.float16])
def test_inputs_of_any_number_type(dtype: Any, source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(npz(**{"mine": np.ones((3, 2), dtype), "größe [red]": np.zeros((1, 2), dtype)}))
    found = distributions(run, source, artifact, *FEW, "--inputs", "x.npz")
    assert (found["mine"], found["größe [red]"], found["zeros"]) == (3, 1, 8)
    assert set(distributions(run, source, artifact, "--replay", "x.npz")) - {INTERMEDIATE} == {"mine", "größe [red]"}


def test_inputs_have_a_line_of_their_own(source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(npz(**{"größe [red]": np.zeros((1, 2), np.float32)}))
    result = run("check", source, artifact, *FEW, "--inputs", "x.npz")
    assert any(line.startswith("größe [red] ") for line in result.stdout.splitlines())


def test_a_single_array(source: Path, artifact: Path, run: Run) -> None:
    np.save("one.npy", np.ones((3, 2), np.float32))
    assert distributions(run, source, artifact, *FEW, "--inputs", "one.npy")["one"] == 3


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def bomb() -> bytes:
    """A file whose directory says that it unpacks to 2 GiB."""
    data = npz(x=np.zeros((1, 2)))
    at = data.index(b"PK\x01\x02") + 24
    return data[:at] + struct.pack("<I", 2**31) + data[at + 4 :]


def lying_header() -> bytes:
    """An array that says it has 2⁴⁰ rows, and has none."""
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2)})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", array.getvalue())
    return buffer.getvalue()


def not_arrays() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("read.me", "text")
    return buffer.getvalue()


@pytest.mark.parametrize("option", ["--inputs", "--replay"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "x.npz: not a readable .npz or .npy file: "),
        (b"text", "x.npz: not a readable .npz or .npy file: "),
        (b"PK\x03\x04", "x.npz: not a readable .npz or .npy file: File is not a zip file"),
        (npz(x=np.ones((1, 2)))[:-30], "x.npz: not a readable .npz or .npy file: File is not a zip file"),
        (npz(x=np.array([[{}, 1]])), "x.npz: not a readable .npz or .npy file: Object arrays cannot be loaded"),
        (npz(x=np.ones((3, 5))), "inputs x: the model does not run on samples of shape (5,): "),
        (npz(x=np.ones(2)), "inputs x: float64 of shape (2,); expected numbers of shape (samples, …)"),
        (npz(x=np.ones((0, 2))), "inputs x: float64 of shape (0, 2); expected numbers of shape (samples, …)"),
        (npz(x=np.array([["a", "b"]])), "inputs x: <U1 of shape (1, 2); expected numbers of shape (samples, …)"),
        (npz(x=np.ones((1, 2), complex)), "inputs x: complex128 of shape (1, 2); expected numbers of shape"),
        (lying_header(), "x.npz: not a readable .npz or .npy file: "),
    ],
    ids=["empty", "text", "zip?", "cut", "objects", "width", "flat", "none", "strings", "complex", "lies"],
)
def test_bad_inputs(data: bytes, text: str, option: str, source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(data)
    result = run("check", source, artifact, option, "x.npz", *FEW)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"nalu-export: {text}")
    assert result.stderr.count("\n") == 1


def test_a_zip_bomb_is_not_unpacked(source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(bomb())
    text = "x.npz: unpacks to 2,147,483,648 bytes; at most 1,073,741,824 are read"
    assert_user_error(run("check", source, artifact, "--inputs", "x.npz"), 2, text)


def test_a_zip_of_other_things(source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(not_arrays())
    text = "x.npz: not a readable .npz or .npy file: its member read.me is not an array; "
    text += "write it with numpy.savez(path, x=array)"
    assert_user_error(run("check", source, artifact, "--inputs", "x.npz"), 2, text)


@pytest.mark.parametrize("option", ["--inputs", "--replay"])
def test_an_empty_zip(option: str, source: Path, artifact: Path, run: Run) -> None:
    Path("x.npz").write_bytes(npz())
    text = "x.npz: holds no array; write it with numpy.savez(path, x=array)"
    assert_user_error(run("check", source, artifact, option, "x.npz"), 2, text)


@pytest.mark.parametrize("option", ["--inputs", "--replay"])
def test_inputs_that_are_not_there(option: str, source: Path, artifact: Path, run: Run) -> None:
    text = "no.npz: cannot be read: No such file or directory"
    assert_user_error(run("check", source, artifact, option, "no.npz"), 2, text)
    assert listing() == ["model.onnx", "model.pt"]
