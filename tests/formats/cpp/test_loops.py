"""formats.cpp.loops: loops as text, and lists of places where there are none."""

import numpy as np

from nalu_export.formats.cpp.loops import nested
from nalu_export.formats.cpp.moves import Index, row_major


def _lines(*maps: Index, together: bool = False) -> list[str]:
    return nested(lambda places, count: f"move<{count}>({', '.join(places)});", *maps, together=together)


def test_one_number() -> None:
    assert _lines(np.array([5]), np.array([0])) == ["move<1>(5, 0);"]


def test_loops() -> None:
    assert _lines(row_major((2, 3)).T, row_major((6,))) == [
        "for (std::size_t i0 = 0; i0 < 3; ++i0)",
        "  for (std::size_t i1 = 0; i1 < 2; ++i1)",
        "    move<1>(i0 + i1 * 3, i0 * 2 + i1);",
    ]


def test_backwards() -> None:
    assert _lines(np.array([5, 3, 1]), np.arange(3) + 4) == [
        "for (std::size_t i0 = 0; i0 < 3; ++i0)",
        "  move<1>(5 - i0 * 2, 4 + i0);",
    ]


def test_neighbours_are_moved_together_where_they_are_neighbours_on_both_sides() -> None:
    rows = row_major((3, 4))[1:, 1:3]
    assert _lines(rows, row_major((4,)), together=True) == [
        "for (std::size_t i0 = 0; i0 < 2; ++i0)",
        "  move<2>(5 + i0 * 4, i0 * 2);",
    ]
    assert _lines(np.arange(3), np.arange(3) * 2, together=True)[-1] == "  move<1>(i0, i0 * 2);"


def test_places_that_follow_no_loops_are_listed() -> None:
    assert _lines(np.array([3, 1, 4]), np.arange(3)) == [
        "{",
        "  static constexpr std::uint32_t places[][2] = {",
        "    {3, 0}, {1, 1}, {4, 2},",
        "  };",
        "  for (const auto& place : places) move<1>(place[0], place[1]);",
        "}",
    ]
