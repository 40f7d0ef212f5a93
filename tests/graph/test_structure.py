"""nalu_export.graph.structure: tensors in containers, and what they are called."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from nalu_export.graph.structure import MAX_NAME, leaves, mapped, names_of


class Pair(NamedTuple):
    h: Any
    c: Any


@dataclass
class Record:
    y: Any
    z: Any = None


NESTED: dict[str, Any] = {"a": [1, (2, Pair(3, 4))], "b": OrderedDict(k=Record(5, {"deep": 6}))}
PATHS = [("a", 0), ("a", 1, 0), ("a", 1, 1, "h"), ("a", 1, 1, "c"), ("b", "k", "y"), ("b", "k", "z", "deep")]


def test_leaves_come_in_order_with_their_paths() -> None:
    assert list(leaves(NESTED)) == list(zip(PATHS, range(1, 7), strict=True))
    assert list(leaves(7)) == [((), 7)]
    assert list(leaves([])) == []


def test_containers_stay_what_they_are() -> None:
    found = mapped(NESTED, lambda leaf: leaf * 10)
    assert found == {"a": [10, (20, Pair(30, 40))], "b": OrderedDict(k=Record(50, {"deep": 60}))}
    assert type(found["a"][1][1]) is Pair
    assert type(found["b"]) is OrderedDict
    assert NESTED["a"][0] == 1


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([("x",), ("ids",)], ["x", "ids"]),
        ([("x",), ("state", 0), ("state", 1)], ["x", "state_0", "state_1"]),
        ([("batch", "x"), ("batch", "ids")], ["x", "ids"]),
        ([("left", "x"), ("right", "x")], ["left_x", "right_x"]),
        ([(0,), (1, 0), (1, 1)], ["output_0", "output_1_0", "output_1_1"]),
        ([("W",), ("x",)], ["W_output", "x"]),
        ([("",), ("a\n",), ("b" * (MAX_NAME + 1),)], ["output_0", "output_1", "output_2"]),
        ([("a", "b"), ("a_b",), ("c", "b")], ["a_b", "a_b_output", "c_b"]),
    ],
)
def test_names(paths: list[tuple[str | int, ...]], names: list[str]) -> None:
    assert names_of(paths, "output", {"W", "W_hat"}) == names
