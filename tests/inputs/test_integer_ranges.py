"""nalu_export.inputs.integer_ranges: which integers a model takes is found by running it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALUCell
from nalu_export.graph.example import Example
from nalu_export.graph.interface import ANY_INTEGER
from nalu_export.inputs.example import example_of_given
from nalu_export.inputs.integer_ranges import is_integer, runs, with_ranges

X = torch.rand(2, 3)


class _Net(nn.Module):
    def __init__(self, function: Callable[..., Any], rows: int = 9) -> None:
        super().__init__()
        self.function, self.table, self.cell = function, nn.Embedding(rows, 3), NALUCell(3, 2)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        y: Tensor = self.cell(self.function(self, x, ids))
        return y


def _found(model: nn.Module, ids: Tensor, *, told: bool = True) -> tuple[Example, tuple[str, ...]]:
    return with_ranges(model, example_of_given(model, (X, ids)), told=told)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda net, x, ids: x + net.table(ids), (0, 8)),
        (lambda net, x, ids: x + net.table(ids + 2), (-2, 6)),
        (lambda net, x, ids: x + ids.unsqueeze(1), ANY_INTEGER),
        (lambda net, x, ids: x.gather(1, ids.unsqueeze(1)).expand(-1, 3), (0, 2)),
    ],
)
@pytest.mark.parametrize("told", [False, True])
def test_a_range_is_found(function: Callable[..., Any], expected: tuple[int, int], told: bool) -> None:
    model = _Net(function).eval()
    example, notes = _found(model, torch.tensor([1, 1]), told=told)
    assert notes == ()
    assert example.inputs[1].range == expected
    assert example.inputs[0].range == ANY_INTEGER
    ids = example.tensors[1]
    assert expected[0] <= int(ids.min()) <= int(ids.max()) <= expected[1]
    assert runs(model, example, example.tensors)


def test_the_range_is_that_of_the_type() -> None:
    example, _ = _found(_Net(lambda net, x, ids: x + ids.unsqueeze(1)).eval(), torch.tensor([1, 1], dtype=torch.int8))
    assert example.inputs[1].range == (-128, 127)


def test_a_first_integer_is_found_where_nobody_tells_one() -> None:
    def from_two(net: _Net, x: Tensor, ids: Tensor) -> Tensor:
        assert bool((ids >= 2).all())
        return x + ids.unsqueeze(1)

    example, _ = _found(_Net(from_two).eval(), torch.tensor([0, 0]), told=False)
    assert example.inputs[1].range == (2, ANY_INTEGER[1])


def test_integers_that_have_to_fit_each_other_are_those_of_the_example() -> None:
    def ascending(net: _Net, x: Tensor, ids: Tensor) -> Tensor:
        assert bool((ids[:, 1:] >= ids[:, :-1]).all())
        return x + ids.sum(1, keepdim=True)

    given = torch.tensor([[1, 2, 3], [4, 5, 9]])
    example, notes = _found(_Net(ascending).eval(), given)
    assert notes == ("integers are drawn from the range of the example: ids 1 to 9",)
    assert example.inputs[1].range == (1, 9)
    assert example.tensors[1].tolist() == [[1, 2, 3], [4, 5, 9], [1, 2, 3]]


def test_what_has_no_integers_or_does_not_run_is_left_to_whoever_captures_it() -> None:
    model = NALUCell(3, 2)
    example = example_of_given(model, X)
    assert with_ranges(model, example, told=True) == (example, ())
    broken = _Net(lambda net, x, ids: x[9]).eval()
    given = example_of_given(broken, (X, torch.tensor([1, 2])))
    assert with_ranges(broken, given, told=True) == (given, ())


def test_truth_values_are_no_integers() -> None:
    assert is_integer(torch.ones(1, dtype=torch.uint8))
    assert not is_integer(torch.ones(1, dtype=torch.bool))
    assert not is_integer(torch.ones(1))
