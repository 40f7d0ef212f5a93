from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, ArithmeticLayer, BackboneHead, InputError, NALUCell, build_head
from nalu_export.inputs import DEFAULT_SIZE, MAX_PIXELS, fitting, free_sizes, read_inputs, runs, sample_shape, sweep


def convolutional(pool: str | None = "avg", **options: Any) -> BackboneHead:
    backbone = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2))
    return build_head(backbone, 3, [4], "classification", 5, pool=pool, **options).eval()


def flattened(height: int, width: int) -> nn.Sequential:
    """A plain torch model that takes one image size only."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * (height - 2) * (width - 2), 3), NAC(3, 1))


@pytest.mark.parametrize(
    ("make", "size", "expected"),
    [
        (lambda: NAC(7, 2), None, (7,)),
        (lambda: NALUCell(1, 2), None, (1,)),
        (lambda: nn.Sequential(NALU(3, 2), nn.Linear(2, 1)), None, (3,)),
        (lambda: nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), NAC(3, 1)).eval(), None, (6,)),
        (lambda: nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 3), NAC(3, 1)), None, (4,)),
        (convolutional, None, (2, *DEFAULT_SIZE)),
        (convolutional, (8, 24), (2, 8, 24)),
        (convolutional, [9, 7], (2, 9, 7)),
        (lambda: flattened(32, 32), None, (1, 32, 32)),
        (lambda: flattened(6, 9), (6, 9), (1, 6, 9)),
        (lambda: convolutional(None, feature_size=(3, 11)), (8, 24), (2, 8, 24)),
    ],
)
def test_sample_shape(make: Callable[[], nn.Module], size: Any, expected: tuple[int, ...]) -> None:
    assert sample_shape(make(), size) == expected


def test_a_layer_that_does_not_say_how_many_inputs_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))

    class Scaled(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(2.0))
            self.weight = nn.Parameter(torch.ones(5))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight * self.gain

    assert sample_shape(Scaled(), None) == (5,)


POSITIVE = "it must be an integer of at least 1"


@pytest.mark.parametrize(
    ("make", "size", "text"),
    [
        (lambda: NAC(4, 2), (8, 8), "input_size is given, but the model takes 4 features, not images"),
        (convolutional, (0, 8), f"input_size[0] is 0; {POSITIVE}"),
        (convolutional, (8, -1), f"input_size[1] is -1; {POSITIVE}"),
        (convolutional, (8, 8.0), f"input_size[1] is 8.0; {POSITIVE}"),
        (convolutional, (8,), "input_size is (8,); it must be height and width"),
        (convolutional, (8, 8, 8), "input_size is (8, 8, 8); it must be height and width"),
        (convolutional, 8, "input_size is 8; it must be height and width"),
        (convolutional, "88", "input_size is '88'; it must be height and width"),
        (
            convolutional,
            (2**13, 2**13),
            f"input_size is 8192×8192; at most {MAX_PIXELS} pixels are allowed",
        ),
        (
            convolutional,
            (1, 1),
            "the model does not run on 2×1×1 images (Calculated padded input size per channel: (1 x 1). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size); give another --input-size H W",
        ),
        (
            lambda: flattened(6, 9),
            None,
            "the model does not run on 1×32×32 images (mat1 and mat2 shapes cannot be multiplied (2x1800 and 56x3)); "
            "give another --input-size H W",
        ),
        (
            lambda: convolutional(None, feature_size=(3, 11)),
            None,
            "the model flattens a feature map of 3×11; say which image size gives it with --input-size H W",
        ),
        (
            lambda: convolutional(None, feature_size=(3, 11)),
            (9, 9),
            "the model does not run on 2×9×9 images (mat1 and mat2 shapes cannot be multiplied (2x36 and 132x5)); "
            "give another --input-size H W",
        ),
        (
            lambda: nn.Sequential(NAC(2, 3), nn.Linear(4, 1)),
            None,
            "the model does not run on 2 features: mat1 and mat2 shapes cannot be multiplied (2x3 and 4x1)",
        ),
        (
            lambda: nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), NAC(8, 1)),
            None,
            "the model does not run on 8 features: .+",
        ),
        (lambda: nn.Sequential(nn.ReLU()), None, "Sequential has no layer that tells the number of its inputs"),
        (
            lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.Softmax("x"), nn.Flatten(), NAC(2, 1)),  # type: ignore[arg-type]
            None,
            "the model does not run on 1×32×32 images (.*softmax.*); give another --input-size H W",
        ),
    ],
)
def test_refused(make: Callable[[], nn.Module], size: Any, text: str) -> None:
    pattern = text.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[").replace("]", r"\]")
    with pytest.raises(InputError, match=f"^{pattern}$"):
        sample_shape(make(), size)


def test_forward_of_the_user_may_raise_anything() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = NAC(2, 1)

        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("table")

    with pytest.raises(InputError, match=r"^the model does not run on 2 features: 'table'$"):
        sample_shape(Broken(), None)


@pytest.mark.parametrize(("shape", "expected"), [((1, 6, 9), True), ((1, 6, 8), False), ((2, 6, 9), False)])
def test_runs(shape: tuple[int, ...], expected: bool) -> None:
    assert runs(flattened(6, 9), shape) is expected


def test_running_leaves_no_gradient() -> None:
    model = NALU(3, 1)
    assert runs(model, (3,))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("batch", 4), False),
        (("batch", 1, 8, 8), False),
        (("batch", 1, "height", "width"), True),
        (("batch", 1, 8, "width"), True),
    ],
)
def test_free_sizes(shape: tuple[int | str, ...], expected: bool) -> None:
    assert free_sizes(shape) is expected


def test_sweep_takes_other_sizes() -> None:
    assert sweep(convolutional(), (2, 8, 24)) == [
        (2, 8, 24),
        (2, 9, 27),
        (2, 16, 24),
        (2, 8, 49),
        (2, 4, 16),
    ]


def test_sweep_leaves_out_what_the_model_does_not_take() -> None:
    assert sweep(flattened(6, 9), (1, 6, 9)) == [(1, 6, 9)]
    assert (2, 2, 2) not in sweep(convolutional(), (2, 4, 4))


def test_sweep_repeats_no_size() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NAC(2, 1))
    shapes = sweep(model, (1, 1, 1))
    assert len(set(shapes)) == len(shapes) == 4
    assert shapes[0] == (1, 1, 1)


# Inputs from files ------------------------------------------------------------------------------------------------


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
    assert fitting(convolutional(), "own", np.zeros((1, 2, 9, 14))).shape == (1, 2, 9, 14)
