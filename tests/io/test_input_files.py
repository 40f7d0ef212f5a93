"""nalu_export.io.input_files: arrays of the user's own, from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nalu_export import InputError
from nalu_export.io.input_files import read_inputs


def test_an_npz_is_read_by_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", first=np.ones((2, 3)), second=np.arange(4))
    found = read_inputs(tmp_path / "own.npz")
    assert list(found) == ["first", "second"]
    np.testing.assert_array_equal(found["second"], np.arange(4))
    np.savez_compressed(tmp_path / "small.npz", x=np.zeros((100, 100)))
    assert read_inputs(str(tmp_path / "small.npz"))["x"].shape == (100, 100)


def test_an_npy_is_called_after_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "own.npy", np.ones((2, 3), np.float16))
    found = read_inputs(tmp_path / "own.npy")
    assert list(found) == ["own"]
    assert found["own"].dtype == np.float16


class _Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_nothing_is_unpickled(tmp_path: Path, suffix: str) -> None:
    trapped = np.array([_Trap(tmp_path / "sprung")], dtype=object)
    path = tmp_path / f"own.{suffix}"
    if suffix == "npz":
        np.savez(path, x=trapped)
    else:
        np.save(path, trapped)
    with pytest.raises(InputError, match=rf"^.*own\.{suffix}: not a readable .npz or .npy file: Object arrays cannot"):
        read_inputs(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "data", [b"", b"PK", b"PK\x03\x04 damaged", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{}", b"1,2,3", b"\x80\x04."]
)
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"^.*own\.npz: (not a readable \.npz or \.npy file: .+|.*empty.*)$") as error:
        read_inputs(path)
    assert "\n" not in str(error.value)


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.ones((50, 50)))
    data = (tmp_path / "own.npz").read_bytes()
    for cut in (len(data) // 2, len(data) - 10):
        (tmp_path / "cut.npz").write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"cut\.npz: not a readable \.npz or \.npy file: "):
            read_inputs(tmp_path / "cut.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nalu_export.io.input_files.MAX_INPUTS", 10_000)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(100_000))
    with pytest.raises(InputError, match=r"bomb\.npz: unpacks to 800,\d+ bytes; at most 10,000 are read$"):
        read_inputs(tmp_path / "bomb.npz")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz"):
        read_inputs(tmp_path / "none.npz")
