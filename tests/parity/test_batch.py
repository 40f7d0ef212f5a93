"""nalu_export.parity.batch: samples of all inputs together."""

import numpy as np
import pytest
import torch

from nalu_export.parity.batch import Batch


def batch(samples: int, start: int = 0) -> Batch:
    x = np.arange(start, start + 3 * samples, dtype=np.float32).reshape(samples, 3)
    return Batch.of(x, np.arange(start, start + samples), np.ones((samples, 2, 1), np.bool_))


def same(one: Batch, other: Batch) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.arrays, other.arrays, strict=True))


def test_it_is_as_long_as_it_has_samples() -> None:
    found = batch(4)
    assert (len(found), found.shapes, found.numbers) == (4, ((3,), (), (2, 1)), 4 * 6)
    assert [len(one) for one in found] == [1] * 4


@pytest.mark.parametrize("rows", [slice(1, 3), np.array([2, 0]), np.array([True, False, True, False])])
def test_rows_are_those_of_every_input(rows: slice) -> None:
    found = batch(4)
    assert all(np.array_equal(a[rows], b) for a, b in zip(found.arrays, found[rows].arrays, strict=True))


def test_parts_that_are_joined_are_the_whole() -> None:
    found = batch(7)
    assert [len(part) for part in found.split((1, 3))] == [1, 2, 4]
    assert same(Batch.joined(found.split((1, 3))), found)
    assert [len(part) for part in batch(2).split((1, 3))] == [1, 1]
    assert batch(0).split((1, 3)) == []


def test_each_sample_several_times() -> None:
    found = batch(2).repeated(3)
    assert found.arrays[1].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_copy_keeps_nothing_of_the_whole() -> None:
    found = batch(4)
    kept = found[:2].copy()
    found.arrays[0][:] = 9
    assert same(kept, batch(2))


def test_for_torch_only_floats_are_widened() -> None:
    types = [x.dtype for x in batch(2).tensors(double=True)]
    assert types == [torch.float64, torch.int64, torch.bool]
    assert batch(2).tensors()[0].dtype == torch.float32


def test_the_largest_number_of_a_sample_is_of_any_input() -> None:
    found = Batch.of(np.array([[1, -2], [0, 0]], np.float32), np.array([0, -7]), np.array([[], []], np.float32))
    assert found.magnitude().tolist() == [2, 7]
