"""Writes the nested loops of a header over the places that numbers are read from and written to."""

from collections.abc import Callable

from nalu_export.formats.cpp.moves import Index, Loop, loops

# Writes a statement. It gets one place per map, as an expression of the loop variables, and a count of numbers.
Statement = Callable[[list[str], int], str]


def nested(statement: Statement, *maps: Index, together: bool = False) -> list[str]:
    """Write loops that run a statement for the places of several maps in parallel.

    Args:
        statement: writes the statement from one place of each map and the number of consecutive places from there on.
        maps: places, the same number in each map.
        together: whether one statement may handle a run of numbers that are consecutive in all maps.
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
    """Write a loop over a table of places, for places that no nested loops produce."""
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
