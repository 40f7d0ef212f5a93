"""nalu_export.parity.real_inputs: inputs of the user's own, as the model takes them."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, InputError, NALUCell
from nalu_export.graph import ModelGraph, capture
from nalu_export.inputs.example import example_of_given
from nalu_export.parity.batch import Batch
from nalu_export.parity.real_inputs import InputFile, distributions, fitting
from tests.alone import array_of
from tests.captured import graph_of


def _fitted(model: nn.Module, x: Any, shape: tuple[int, ...] | None = None) -> np.ndarray[Any, Any]:
    return array_of(fitting(graph_of(model, shape), "own", x))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int32, np.uint8, np.bool_])
def test_numbers_of_any_type_become_float32(dtype: Any) -> None:
    x = np.ones((2, 3), dtype)
    found = _fitted(NAC(3, 1), x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.ones((2, 3)))


def test_what_float32_does_not_hold_becomes_infinite() -> None:
    assert np.isinf(_fitted(NAC(1, 1), np.array([[1e300]]))).all()


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
        _fitted(NAC(3, 1), x)


def test_images_fit_where_the_model_runs() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NAC(3, 1))
    assert _fitted(model, np.zeros((1, 2, 9, 14)), (2, 8, 8)).shape == (1, 2, 9, 14)


class _Looked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell = nn.Embedding(9, 3), NALUCell(3, 2)

    def forward(self, x: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        y: Tensor = self.cell(x + self.table(ids) * keep)
        return y


@pytest.fixture
def looked() -> ModelGraph:
    """Of floats, integers and truth values."""
    model = _Looked().eval()
    given = (torch.rand(2, 3), torch.tensor([1, 2]), torch.ones(2, 3, dtype=torch.bool))
    return capture(model, example_of_given(model, given))


X, IDS, KEEP = np.ones((2, 3)), np.array([3, 8], np.int32), np.zeros((2, 3), bool)


def test_several_inputs_come_in_order_or_by_name(looked: ModelGraph) -> None:
    for given in ((X, IDS, KEEP), [X, IDS, KEEP], {"keep": KEEP, "x": X, "ids": IDS}, (torch.ones(2, 3), IDS, KEEP)):
        found = fitting(looked, "own", given)
        assert [array.dtype for array in found.arrays] == [np.float32, np.int64, np.bool_]
        for array, wanted in zip(found.arrays, (X, IDS, KEEP), strict=True):
            np.testing.assert_array_equal(array, wanted)
    batch = Batch.of(X.astype(np.float32), IDS, KEEP)
    assert fitting(looked, "own", batch) is batch


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((X, IDS), "inputs own: 2 given; the model takes x, ids, keep"),
        (X, "inputs own: 1 given; the model takes x, ids, keep"),
        ({"x": X, "ids": IDS}, "inputs own: has no keep; the model takes x, ids, keep"),
        (
            {"x": X, "ids": IDS, "keep": KEEP, "z": X},
            "inputs own: has z, which is not an input; the model takes x, ids, keep",
        ),
        ((X, IDS[:1], KEEP), "inputs own: different numbers of samples: x 2, ids 1, keep 2"),
        ((X, X[:, 0], KEEP), r"inputs own, ids: float64 of shape \(2,\); expected int64 of shape \(samples\)"),
        ((X, IDS, X), r"inputs own, keep: float64 of shape \(2, 3\); expected bool of shape \(samples, …\)"),
        ((X, np.array([2**63 + 5, 1], np.uint64), KEEP), "inputs own, ids: holds integers that int64 cannot hold"),
        ((X, IDS + 1, KEEP), r"inputs own: the model does not run on samples of shape \(3,\) and \(\) and \(3,\): "),
    ],
)
def test_several_inputs_that_do_not_fit_are_refused(looked: ModelGraph, given: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"^{text}"):
        fitting(looked, "own", given)


def test_the_arrays_of_a_file_are_distributions() -> None:
    arrays = {"a": np.ones((2, 3)), "b": np.zeros((1, 3))}
    assert distributions(graph_of(NAC(3, 1)), InputFile(arrays, "own")) == arrays


def test_the_arrays_of_a_file_for_several_inputs(looked: ModelGraph) -> None:
    arrays: dict[str, Any] = {"x": X, "ids": IDS, "keep": KEEP, "worst:x": X, "worst:ids": IDS, "worst:keep": KEEP}
    found = distributions(looked, InputFile(arrays, "own"))
    assert {name: list(given) for name, given in found.items()} == {
        "own": ["x", "ids", "keep"],
        "worst": ["x", "ids", "keep"],
    }
    with pytest.raises(InputError, match=r"^inputs own:y: the model has no input of that name; it takes x, ids, keep$"):
        distributions(looked, InputFile({"own:y": X}, "own"))
