"""nalu_export.graph.spelling.special.indexing: slices and selections where the numbers are known."""

from typing import Any

import torch
from torch import Tensor

from tests.graph.spelling.tables import Calls, Table, check_all, check_none

SINGLE: Calls = {
    "a column": lambda x, p: x[:, 0],
    "from the end": lambda x, p: x[:, -1],
    "an ellipsis": lambda x, p: x[..., 1],
    "select": lambda x, p: x.select(1, 2),
    "torch.select": lambda x, p: torch.select(x, dim=1, index=-2),
    "unbind": lambda x, p: x.unbind(1)[2],
    "torch.unbind": lambda x, p: torch.unbind(x, dim=-1)[0],
}
RANGES: Calls = {
    "a range": lambda x, p: x[:, 1:3],
    "an open range": lambda x, p: x[..., 1:],
    "up to the last": lambda x, p: x[:, :-1],
    "narrow": lambda x, p: x.narrow(1, 1, 2),
    "torch.narrow": lambda x, p: torch.narrow(x, dim=1, start=0, length=2),
    "split": lambda x, p: torch.split(x, 2, dim=1)[1],
    "split by sizes": lambda x, p: torch.split(x, [1, 3], 1)[1],
    "chunk": lambda x, p: x.chunk(2, -1)[1],
    "tensor_split": lambda x, p: torch.tensor_split(x, 2, dim=1)[0],
    "every other": lambda x, p: x[:, ::2],
    "of a parameter": lambda x, p: x[:, :3] * p.w[1] + x[:, 1:] * p.m[:, 0],
}


def _unpacked(x: Tensor, p: Table) -> Any:
    left, right = x.chunk(2, dim=1)
    return left * right


def test_single_numbers_are_selections() -> None:
    for name, found in check_all(SINGLE, (4,)).items():
        assert found.data == ("select",), name


def test_ranges_are_slices() -> None:
    for name, found in check_all(RANGES, (4,)).items():
        assert set(found.data) <= {"slice", "mul", "add"}, name


def test_new_axes_and_whole_ones() -> None:
    calls: Calls = {
        "None": lambda x, p: x[:, None],
        "None and a column": lambda x, p: x[:, None, 1],
        "all of it": lambda x, p: x[:] * 2.0,
        "an ellipsis alone": lambda x, p: x[...] * 2.0,
        "None behind an ellipsis": lambda x, p: x[..., None],
        "unpacked": _unpacked,
    }
    found = check_all(calls, (4,))
    assert found["None"].data == found["None behind an ellipsis"].data == ("unsqueeze",)
    assert found["all of it"].data == found["an ellipsis alone"].data == ("mul",)
    assert found["unpacked"].data == ("slice", "slice", "mul")


def test_what_stays() -> None:
    """Places that depend on values, and on sizes that may be others in the next run."""
    calls: Calls = {
        "a mask": lambda x, p: torch.where(x > 0, x, 0.0)[:, torch.tensor([True, False, True, True])],
        "a list": lambda x, p: x[:, [0, 2]],
        "a tensor": lambda x, p: x[:, torch.tensor([1, 1])],
        "the samples, split": lambda x, p: torch.cat(torch.split(x, 1)),
        "the samples, in two": lambda x, p: x.tensor_split(2)[0],
    }
    check_none(calls, (4,))
    image: Calls = {"height": lambda x, p: x.chunk(2, dim=2)[0], "width": lambda x, p: torch.split(x, 2, dim=3)[0]}
    check_none(image, (2, 4, 4))
