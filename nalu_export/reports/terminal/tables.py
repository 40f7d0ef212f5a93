"""Tables that fit the terminal: if it is too narrow, whole columns are left out, and a line names them."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nalu_export.reports.terminal.lines import say

# Width of the first column when it is folded, which happens before a column is left out.
NARROWEST = 13
# Width between two columns; one column of it is a border of rich.
_GAP = 2


def show_table(
    out: Console,
    titles: Sequence[str],
    rows: Sequence[Sequence[Text]],
    *,
    left: Sequence[str],
    dropped_first: Sequence[str],
    folded: Sequence[str] = (),
) -> None:
    """Print a table with as many columns as fit into the terminal. Outside a terminal, print all columns.

    Args:
        out: the console.
        titles: the titles of the columns.
        rows: the cells, a text for each title.
        left: the columns that are aligned on the left; the others are aligned on the right.
        dropped_first: the columns that may be left out, in the order in which they are.
        folded: the columns, besides the first, whose cells may take several lines.
    """
    columns = {title: [row[place] for row in rows] for place, title in enumerate(titles)}
    widths = {title: max([len(title), *(cell.cell_len for cell in cells)]) for title, cells in columns.items()}
    needed = dict(widths)
    for title in {titles[0], *folded} & {*titles}:
        longest = max([len(word) for cell in columns[title] for word in cell.plain.split()], default=0)
        needed[title] = min(widths[title], max(len(title), min(longest, NARROWEST)))
    dropped: list[str] = []
    for title in dropped_first:
        kept = [needed[name] for name in titles if name not in dropped]
        if not out.is_terminal or sum(kept) + _GAP * (len(kept) - 1) <= out.width:
            break
        dropped.append(title)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for title in titles:
        if title not in dropped:
            may_fold = title == titles[0] or title in folded
            table.add_column(
                title,
                justify="left" if title in left else "right",
                no_wrap=not may_fold,
                overflow="fold",
                min_width=min(needed[title], out.width),
            )
    for row in rows:
        table.add_row(*(cell for title, cell in zip(titles, row, strict=True) if title not in dropped))
    width = out.width
    if not out.is_terminal:
        out.width = max(width, sum(widths.values()) + _GAP * len(widths))
    out.print(table)
    out.width = width
    if dropped:
        names = ", ".join(title for title in titles if title in dropped)
        say(out, f"columns left out for lack of width: {names}", style="dim")
