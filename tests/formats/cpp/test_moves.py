"""formats.cpp.moves: where numbers come from is read off the primitive itself, and loops follow any strides."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nalu_export.formats.cpp.moves import Index, Loop, is_run, loops, moved, row_major
from tests.formats.graphs import Drawing

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def _moved(name: str, shape: tuple[int, ...], *arguments: Any, both: bool = False) -> Index | None:
    """Of the input of a shape, or of it twice."""
    drawing = Drawing()
    given = drawing("neg", drawing.x)
    node = drawing(name, [drawing.x, given] if both else drawing.x, *arguments)
    return moved(node, {drawing.x: shape, given: shape}, 3)


def test_places_are_those_of_the_primitive() -> None:
    def places(*arguments: Any, both: bool = False) -> Any:
        found = _moved(*arguments, both=both)
        assert found is not None
        return found.tolist()

    assert places("transpose", (2, 3), 1, 2) == [[0, 3], [1, 4], [2, 5]]
    assert places("reshape", (2, 3), [-1, 6]) == [0, 1, 2, 3, 4, 5]
    assert places("expand", (2, 1), [-1, 2, 3]) == [[0, 0, 0], [1, 1, 1]]
    assert places("slice", (5,), 1, -1, None, 1) == [4]
    assert places("select", (2, 3), 2, 1) == [1, 4]
    assert places("cat", (2,), 1, both=True) == [0, 1, 2, 3]
    assert places("stack", (2,), -1, both=True) == [[0, 2], [1, 3]]


def test_what_does_not_treat_every_sample_alike() -> None:
    for name, arguments, both in (
        ("transpose", (0, 1), False),
        ("reshape", ([-1, 2],), False),
        ("reshape", ([4, 3],), False),
        ("flatten", (0, 1), False),
        ("select", (0, 1), False),
        ("slice", (0, 0, 2, 1), False),
        ("unsqueeze", (0,), False),
        ("cat", (0,), True),
    ):
        assert _moved(name, (4,), *arguments, both=both) is None, name


def test_a_run() -> None:
    assert is_run(np.array([[3, 4], [5, 6]]))
    assert is_run(np.array([7]))
    assert not is_run(np.array([3, 5]))
    assert not is_run(np.array([3, 3]))


def _follow(found: list[Loop], maps: list[Index]) -> Index:
    """What nested loops go through."""
    steps = [np.array(0)] * len(maps)
    for loop in found:
        steps = [step[..., None] + np.arange(loop.size) * by for step, by in zip(steps, loop.steps, strict=True)]
    return np.stack([index.flat[0] + step.ravel() for index, step in zip(maps, steps, strict=True)])


@given(SHAPES, st.data())
def test_loops_follow_every_view(shape: tuple[int, ...], data: st.DataObject) -> None:
    """Permuted, cut, turned round and repeated, in as few loops as the view has axes."""
    index = row_major(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    cut = data.draw(
        st.tuples(*(st.sampled_from([slice(None), slice(None, None, -1), slice(0, size, 2)]) for size in index.shape))
    )
    index = index[cut]
    repeated = np.broadcast_to(index[..., None, :], (*index.shape[:-1], data.draw(st.integers(1, 3)), index.shape[-1]))
    maps = [repeated.ravel(), row_major((repeated.size,))]
    found = loops(*maps)
    assert found is not None
    np.testing.assert_array_equal(_follow(found, maps), np.stack(maps))
    assert len(found) <= repeated.ndim


def test_few_loops() -> None:
    assert loops(np.arange(12)) == [Loop(12, (1,))]
    assert loops(np.array([5])) == []
    assert loops(np.array([0, 0, 0, 1, 1, 1])) == [Loop(2, (1,)), Loop(3, (0,))]


@pytest.mark.parametrize("places", [[0, 1, 3], [0, 1, 2, 0, 1, 3], [3, 1, 4, 2, 5], [0, 1, 5, 6, 2, 3]])
def test_places_that_follow_no_loops(places: list[int]) -> None:
    assert loops(np.array(places)) is None


def test_types_do_not_matter() -> None:
    """A mask is moved like a number."""
    drawing = Drawing()
    mask = drawing("gt", drawing.x, 0.0)
    node = drawing("transpose", mask, 1, 2)
    found = moved(node, {mask: (2, 3)}, 3)
    assert found is not None
    assert torch.from_numpy(found).T.flatten().tolist() == list(range(6))
