"""Nested loops of a header, over places that numbers are read from and written to."""

from collections.abc import Callable

from nalu_export.formats.cpp.moves import Index, Loop, loops

# Writes a statement from the places: expressions of the variables of the loops.
Statement = Callable[[list[str], int], str]


def nested(statement: Statement, *maps: Index, together: bool = False) -> list[str]:
    """A statement for the places of several maps, one after the other.

    Args:
        statement: from the places, and how many there are from each of them on.
        maps: places, as many in each.
        together: let the statement have runs of numbers that stand one after the other in all maps.
    """
    found = loops(*maps)
    if found is None:
        return _listed(statement, maps)
    count = 1
    if together and found and set(found[-1].steps) == {1}:
        count = found.pop().size
    places = [_place(int(index.flat[0]), found, number) for number, index in enumerate(maps)]
    heads = [
        f"{'  ' * depth}for (std::size_t i{depth} = 0; i{depth} < {loop.size}; ++i{depth})"
        for depth, loop in enumerate(found)
    ]
    return [*heads, f"{'  ' * len(heads)}{statement(places, count)}"]


def _place(start: int, found: list[Loop], number: int) -> str:
    text = str(start) if start else ""
    for depth, loop in enumerate(found):
        step = loop.steps[number]
        if step:
            times = "" if abs(step) == 1 else f" * {abs(step)}"
            sign = " - " if step < 0 else " + " if text else ""
            text += f"{sign}i{depth}{times}"
    return text or "0"


def _listed(statement: Statement, maps: tuple[Index, ...]) -> list[str]:
    """Places that follow no loops, as they are."""
    rows = [f"{{{', '.join(map(str, row))}}}" for row in zip(*(index.ravel().tolist() for index in maps), strict=True)]
    lines = [", ".join(rows[start : start + 8]) for start in range(0, len(rows), 8)]
    return [
        "{",
        f"  static constexpr std::uint32_t places[][{len(maps)}] = {{",
        *(f"    {line}," for line in lines),
        "  };",
        f"  for (const auto& place : places) {statement([f'place[{number}]' for number in range(len(maps))], 1)}",
        "}",
    ]
