"""nalu_export.inputs: inputs of the user's own, from files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from nalu_export import NAC, InputError
from nalu_export.inputs import fitting, read_inputs


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
    monkeypatch.setattr("nalu_export.inputs.MAX_INPUTS", 10_000)
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros(100_000))
    with pytest.raises(InputError, match=r"bomb\.npz: unpacks to 800,\d+ bytes; at most 10,000 are read$"):
        read_inputs(tmp_path / "bomb.npz")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npz"):
        read_inputs(tmp_path / "none.npz")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, np.bool_])
def test_numbers_of_any_type_become_float32(dtype: Any) -> None:
    x = np.ones((2, 3), dtype)
    found = fitting(NAC(3, 1), "own", x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_what_float32_does_not_hold_becomes_infinite() -> None:
    assert np.isinf(fitting(NAC(1, 1), "own", np.array([[1e300]]))).all()


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.ones(3), r"inputs own: float64 of shape \(3,\); expected numbers of shape \(samples, …\)"),
        (np.ones((0, 3)), r"inputs own: float64 of shape \(0, 3\); expected numbers"),
        (np.array([["a", "b", "c"]]), r"inputs own: <U1 of shape \(1, 3\); expected numbers"),
        (np.ones((2, 3), np.complex64), r"inputs own: complex64 of shape \(2, 3\); expected numbers"),
        (np.array(1.0), r"inputs own: float64 of shape \(\); expected numbers"),
        (np.ones((2, 4)), r"inputs own: the model does not run on samples of shape \(4,\): mat1 and mat2 shapes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x: np.ndarray[Any, Any], text: str) -> None:
    with pytest.raises(InputError, match=f"^{text}"):
        fitting(NAC(3, 1), "own", x)


def test_images_fit_where_the_model_runs() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NAC(3, 1))
    assert fitting(model, "own", np.zeros((1, 2, 9, 14))).shape == (1, 2, 9, 14)
